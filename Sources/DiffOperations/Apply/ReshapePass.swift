import Checkpoints
import DiffFormat
import TensorCore

/// Reshapes a tensor: takes the elements that both shapes have from the source, changed by the
/// entry, and the rest from the entry.
struct ReshapePass {
  let plan: TensorPlan
  let source: any Checkpoint

  private var directed: DirectedEntry { plan.entries[0] }

  /// Returns the state of the tensor, by its fingerprint. O(bytes of the tensor).
  func classify() throws(DiffError) -> TensorState {
    guard let stored = plan.stored else { return .other }
    let found = try source.fingerprint(of: stored)
    return found == plan.before ? .base : found == plan.after ? .result : .other
  }

  /// Writes the new tensor. The source must be at the base.
  ///
  /// - Throws: `checksum` if the result does not match its fingerprint in the diff.
  /// - Complexity: O(bytes of both tensors).
  func run(
    to output: any CheckpointOutput, _ progress: inout ProgressCounter
  ) throws(DiffError) {
    guard let stored = plan.stored else { return }
    let target = try output.reshape(stored, to: directed.shapeAfter)
    var stream = ReshapeStream(directed, stored, in: source)
    var builder = Fingerprint.Builder(plan.type, directed.shapeAfter)
    try Blocks.forEachWindow(of: target.byteCount, width: plan.type.width) {
      window throws(DiffError) in
      for block in window {
        let bytes = try stream.next(block)
        builder.append(BlockHashes(bytes.span))
        try output.write(bytes.span, to: target, at: block.lowerBound)
      }
      progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
    }
    if let after = plan.after, !checksumsMatch(builder.fingerprint, after) {
      throw DiffError(
        .checksum,
        "the result has fingerprint \(builder.fingerprint), not \(after): the diff is inconsistent",
        path: directed.reader.path, tensor: plan.name)
    }
  }
}

extension UndoWriter {
  /// Writes the inverse entry of a reshape: the same changes, the remainders swapped.
  func write(reversing plan: TensorPlan) throws(DiffError) {
    let directed = plan.entries[0]
    try writer.begin(
      DiffEntry(plan.name, .reshape(to: directed.shapeBefore), plan.type, directed.shapeAfter))
    try copy(.changes, of: directed)
    for stream in [DiffStream.oldRemainder, .newRemainder] {
      try writer.begin(stream)
      let swapped = stream == .oldRemainder ? DiffStream.newRemainder : .oldRemainder
      try copy(directed.isReversed ? stream : swapped, of: directed)
    }
    try writer.end(base: plan.after, result: plan.before)
  }

  private func copy(_ stream: DiffStream, of directed: DirectedEntry) throws(DiffError) {
    var page = PageBuffer()
    for info in directed.entry.pages[stream] ?? [] {
      try page.load(info, of: directed.entry, stream, from: directed.reader.source)
      try writer.append(page.changes)
    }
  }
}
