import DiffFormat
import TensorCore

/// Writes the exact inverse of the applied changes, as a diff.
final class UndoWriter: @unchecked Sendable {
  private let sink: FileSink
  let writer: DiffWriter
  private var foundHash = XXH3Stream()
  private var hasBegun = false
  private var plan: TensorPlan?

  /// Creates the undo file of `diffs`; nil if the options name none.
  init?(of diffs: [DiffReader], _ options: ApplyOptions) throws(DiffError) {
    guard let path = options.undoPath else { return nil }
    sink = try FileSink(path, overwriting: options.overwriting)
    writer = try DiffWriter(
      sink,
      metadata: options.undoMetadata.merging([
        "diffkit.undo-of": diffs.map(\.identity.description).joined(separator: " ")
      ]) { $1 },
      packed: diffs.contains(where: \.hasPackedElements))
  }

  /// Begins the next tensor, which gets an entry if any of its elements changes.
  func begin(_ plan: TensorPlan) throws(DiffError) {
    self.plan = plan
    foundHash = XXH3Stream()
    hasBegun = false
    // A whole tensor has an entry even if it has no elements.
    if plan.existsBefore != plan.existsAfter { try beginEntry() }
  }

  private func beginEntry() throws(DiffError) {
    guard let plan, !hasBegun else { return }
    let operation: DiffOperation =
      plan.existsBefore ? (plan.existsAfter ? .xor : .insert) : .delete
    try writer.begin(DiffEntry(plan.name, operation, plan.type, plan.shape))
    hasBegun = true
  }

  func append(_ differences: Differences) throws(DiffError) {
    guard !differences.changes.isEmpty else { return }
    try beginEntry()
    try writer.append(differences.changes)
    foundHash.update(differences.old.span)
  }

  /// Ends the tensor's entry, if it has one: its base is `after` and its result `before`.
  func end(before: Fingerprint?, after: Fingerprint?) throws(DiffError) {
    guard let plan, hasBegun else { return }
    let isSparse = plan.existsBefore && plan.existsAfter
    try writer.end(base: after, result: before, old: isSparse ? foundHash.digest : nil)
    hasBegun = false
  }

  /// Completes the file and makes it durable under its name.
  func commit() throws(DiffError) {
    try writer.finish()
    try sink.commit()
  }

  /// Removes the file again, since there is nothing to undo.
  func withdraw() { sink.withdraw() }
}
