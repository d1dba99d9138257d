import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// The result of `compose`.
public struct ComposeSummary: Sendable, Hashable {
  /// The number of tensors that the diff changes, and of values stored in its sparse entries.
  public var tensors = 0, changes: UInt64 = 0
  /// The number of elements of these tensors, before the changes.
  public var elements: UInt64 = 0
  /// The tensors that the diffs change and restore again.
  public var unchanged: [TensorName] = []
  /// The attributes of tensors that the diffs change in steps that do not follow from each other.
  public var attributesLeftOut: [AttributeChange] = []

  /// Creates an empty summary.
  public init() {}
}

extension Diffs {
  /// Writes one exact diff with the effect of several, applied in order.
  ///
  /// Two `xor` entries give their XOR, two `replace` entries the later bits, and `xor` after
  /// `replace` at the same elements gives new bits. Changes after an `insert`, or before a
  /// `delete`, are folded into it; a tensor that is deleted and inserted again becomes the XOR of
  /// the two. Any other chain, such as `replace` after `xor` at other elements, or two changes of
  /// shape, requires the base: apply the diffs, then `create`.
  ///
  /// - Throws: `unsupported` for additions, for diffs that do not follow from each other by their
  ///   fingerprints, and for chains that require the base; the errors of reading and writing.
  /// - Complexity: O(changes); memory for a few blocks of elements.
  public static func compose(
    _ diffs: [DiffReader], into sink: any ByteSink, profile: EncodingProfile = .size,
    metadata: [String: String] = [:]
  ) throws(DiffError) -> ComposeSummary {
    guard !diffs.isEmpty else { throw DiffError(.usage, "nothing to compose") }
    let combined = composedMetadata(of: diffs, metadata)
    let writer = try DiffWriter(
      sink, metadata: combined, profile: profile,
      packed: diffs.contains(where: \.hasPackedElements))
    var summary = ComposeSummary()
    for tensor in try AlignedTensor.all(diffs) {
      let chain = try EntryChain(tensor, diffs)
      if let changes = try chain.write(to: writer) {
        summary.tensors += 1
        summary.changes += changes
        summary.elements = [summary.elements, chain.entries[0].entry.shape.count].clampedSum
      } else {
        summary.unchanged.append(tensor.name)
      }
    }
    let attributes = KeptAttributes(composing: diffs)
    writer.carry(attributes.carried)
    summary.attributesLeftOut = attributes.leftOut
    if let checkpoints = diffs.chainedCheckpoints {
      writer.extensions.append(DiffExtension(checkpoints: checkpoints))
    }
    try writer.finish()
    return summary
  }
}

/// Returns the metadata of a composed diff: its parents, the task of the last diff, which
/// determines the head, and `metadata`.
func composedMetadata(of diffs: [DiffReader], _ metadata: [String: String]) -> [String: String] {
  (diffs.last?.taskMetadata ?? [:]).merging(parents(of: diffs)) { $1 }.merging(metadata) { $1 }
}

extension [DiffReader] {
  /// The fingerprints of the checkpoints before and after a chain of diffs; nil unless each diff is
  /// known to begin with the result of the previous one.
  package var chainedCheckpoints: CheckpointFingerprints? {
    guard var chain = first?.checkpoints else { return nil }
    for diff in dropFirst() {
      guard let next = diff.checkpoints, next.base == chain.result else { return nil }
      chain.result = next.result
    }
    return chain
  }
}

/// Returns metadata that lists the parents of a composed diff.
private func parents(of diffs: [DiffReader]) -> [String: String] {
  var metadata: [String: String] = [:]
  let digits = String(diffs.count).count
  for (index, diff) in diffs.enumerated() {
    let number = String(index + 1)
    let padded = String(repeating: "0", count: digits - number.count) + number
    let name = diff.path.map { " " + OutputFile.split($0).name } ?? ""
    metadata["diffkit.compose.parent.\(padded)"] = "\(diff.identity)\(name)"
  }
  return metadata
}

/// The entries of several diffs for one tensor, in order.
struct EntryChain {
  let name: TensorName
  let entries: [DirectedEntry]

  /// - Throws: `unsupported` if an entry is an addition or does not follow from the previous one.
  init(_ tensor: AlignedTensor, _ diffs: [DiffReader]) throws(DiffError) {
    name = tensor.name
    var entries: [DirectedEntry] = []
    for (number, entry) in tensor.entries(in: diffs) {
      let diff = diffs[number]
      guard entry.operation.isExact else {
        throw DiffError(
          .unsupported, "is an addition, which is not exact; additions are combined with 'merge'",
          path: diff.path, tensor: entry.name)
      }
      let next = DirectedEntry(
        reader: diff, entry: try diff.fingerprintingWhole(entry), number: number,
        isReversed: false)
      if let last = entries.last { try Self.check(next, follows: last) }
      entries.append(next)
    }
    self.entries = entries
  }

  private static func check(
    _ next: DirectedEntry, follows last: DirectedEntry
  ) throws(DiffError) {
    let isNext =
      last.deletes ? next.inserts : !next.inserts && last.after != nil && last.after == next.before
    // Fingerprints can be forged, so type and shape are compared too.
    let isAlike = last.entry.type == next.entry.type && last.shapeAfter == next.entry.shape
    guard isNext, isAlike || last.deletes else {
      throw DiffError(
        .unsupported,
        "was not made on the result of \(last.reader.path ?? "the previous diff"); compose exact "
          + "diffs in the order they were made",
        path: next.reader.path, tensor: next.entry.name)
    }
  }

  /// Writes the composed entry; returns the number of changes of a sparse one, and nil if the
  /// tensor is unchanged in the end.
  func write(to writer: DiffWriter) throws(DiffError) -> UInt64? {
    if entries.count == 1 { return try copy(to: writer) }
    guard !entries.contains(where: \.isReshape) else { throw needsBase("changes its shape") }
    let insertion = entries.lastIndex(where: \.inserts)
    let deletion = entries.firstIndex(where: \.deletes)
    let existsBefore = !entries[0].inserts
    let existsAfter = !entries[entries.count - 1].deletes
    switch (existsBefore, existsAfter) {
    case (false, false): return nil
    case (false, true):
      try writeWhole(Whole(Array(entries[(insertion ?? 0)...])), .insert, writer)
      return 0
    case (true, false):
      try writeWhole(try deleted(upTo: deletion), .delete, writer)
      return 0
    case (true, true):
      guard let insertion else { return try writeSparse(writer) }
      return try writeDifference(
        try deleted(upTo: deletion), Whole(Array(entries[insertion...])), writer)
    }
  }

  private func copy(to writer: DiffWriter) throws(DiffError) -> UInt64 {
    var entry = entries[0].entry
    entry.name = name
    try writer.copy(entry, of: entries[0].reader)
    return entry.operation == .insert || entry.operation == .delete ? 0 : entry.count
  }

  /// Returns the error of a chain that cannot be composed from the diffs alone.
  func needsBase(_ what: String) -> DiffError {
    DiffError(
      .unsupported, "\(what), so the old elements are not known from the diffs alone", tensor: name,
      remedy: .base)
  }

  /// Returns the deleted tensor as it is in the base.
  private func deleted(upTo end: Int?) throws(DiffError) -> Whole {
    guard let end, entries[..<end].allSatisfy({ $0.entry.operation == .xor }) else {
      throw needsBase("is replaced in part and then deleted")
    }
    // The deleted elements, and the XOR of each change to revert it.
    return Whole([entries[end]] + entries[..<end])
  }
}

/// A tensor whose elements are all known.
private struct Whole {
  let entry: DiffEntry
  let patch: Patch

  /// Creates the tensor that the first entry holds whole, with the changes of the others.
  init(_ entries: [DirectedEntry]) {
    entry = entries[0].entry
    patch = Patch(entries, isSum: false)
  }

  /// Calls `body` with the elements, block by block.
  func forEachBlock(
    _ body: (Range<UInt64>, [UInt8]) throws(DiffError) -> Void
  ) throws(DiffError) {
    try patch.forEachBlock(of: entry.type, entry.shape, body)
  }
}

extension EntryChain {
  private func writeWhole(
    _ whole: Whole, _ operation: DiffOperation, _ writer: DiffWriter
  ) throws(DiffError) {
    try writer.begin(DiffEntry(name, operation, whole.entry.type, whole.entry.shape))
    try whole.forEachBlock { elements, bytes throws(DiffError) in
      try writer.append(at: elements.lowerBound, every: bytes.span)
    }
    try writer.end(
      base: operation == .delete ? entries[0].before : nil,
      result: operation == .insert ? entries[entries.count - 1].after : nil)
  }

  /// Writes the XOR of a tensor before it was deleted and after it was inserted again.
  private func writeDifference(
    _ old: Whole, _ new: Whole, _ writer: DiffWriter
  ) throws(DiffError) -> UInt64? {
    guard old.entry.type == new.entry.type, old.entry.shape == new.entry.shape else {
      throw needsBase("is inserted again with another type or shape")
    }
    let width = old.entry.type.width
    var oldHash = XXH3Stream()
    var changes: UInt64 = 0
    var patch = new.patch
    try old.forEachBlock { elements, bytes throws(DiffError) in
      try patch.move(to: elements)
      var newBytes = [UInt8](repeating: 0, count: bytes.count)
      patch.apply(to: &newBytes, elements)
      let differences = Differences(
        from: bytes, to: newBytes, width: width, at: elements.lowerBound)
      guard !differences.changes.isEmpty else { return }
      if changes == 0 {
        try writer.begin(DiffEntry(name, .xor, old.entry.type, old.entry.shape))
      }
      changes += UInt64(differences.changes.count)
      oldHash.update(differences.old.span)
      try writer.append(differences.changes)
    }
    guard changes > 0 else { return nil }
    try writer.end(
      base: entries[0].before, result: entries[entries.count - 1].after, old: oldHash.digest)
    return changes
  }
}
