import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// What `compose` made.
public struct ComposeSummary: Sendable, Hashable {
  /// Tensors that the diff changes, and values stored in its sparse entries.
  public var tensors = 0, changes: UInt64 = 0
  /// Tensors that the diffs change and that are in the end as they were.
  public var unchanged: [TensorName] = []
  /// Attributes that go with tensors and that the diffs change in ways that do not follow from each
  /// other.
  public var attributesLeftOut: [AttributeChange] = []

  /// Nothing.
  public init() {}
}

extension Diffs {
  /// Writes one exact diff that does what several do in order.
  ///
  /// XOR upon XOR is their XOR; new bits upon new bits are the later ones; XOR upon new bits, where
  /// those are, gives new bits; what follows an inserted tensor, or goes before a deleted one, goes
  /// into it; a tensor that is deleted and inserted again becomes the XOR of the two. Any other
  /// chain, such as new bits upon a XOR elsewhere, or two changes of shape, needs the base: apply
  /// the diffs, then `create`.
  ///
  /// - Throws: `unsupported` for additions, for diffs that do not follow from each other by their
  ///   fingerprints, and for chains that need the base; what reading and writing throw.
  /// - Complexity: O(changes), in memory of a few blocks of elements.
  public static func compose(
    _ diffs: [DiffReader], into sink: any ByteSink, profile: EncodingProfile = .size,
    metadata: [String: String] = [:]
  ) throws(DiffError) -> ComposeSummary {
    guard !diffs.isEmpty else { throw DiffError(.usage, "nothing to compose") }
    let facts = composedMetadata(of: diffs, metadata)
    let writer = try DiffWriter(
      sink, metadata: facts, profile: profile, packed: diffs.contains(where: \.hasPackedElements))
    var summary = ComposeSummary()
    for tensor in try AlignedTensor.all(diffs) {
      let chain = try EntryChain(tensor, diffs)
      if let changes = try chain.write(to: writer) {
        summary.tensors += 1
        summary.changes += changes
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

/// The metadata of a diff that was composed: what it was composed of, the task of the last, which
/// has the last word on the head, and `metadata`.
func composedMetadata(of diffs: [DiffReader], _ metadata: [String: String]) -> [String: String] {
  (diffs.last?.taskMetadata ?? [:]).merging(parents(of: diffs)) { $1 }.merging(metadata) { $1 }
}

extension [DiffReader] {
  /// The whole checkpoints that diffs lead from and to, one after the other; nil unless each is known
  /// to begin where the one before ends.
  package var chainedCheckpoints: CheckpointFingerprints? {
    guard var chain = first?.checkpoints else { return nil }
    for diff in dropFirst() {
      guard let next = diff.checkpoints, next.base == chain.result else { return nil }
      chain.result = next.result
    }
    return chain
  }
}

/// Metadata that tells what a diff was composed of.
private func parents(of diffs: [DiffReader]) -> [String: String] {
  var facts: [String: String] = [:]
  let digits = String(diffs.count).count
  for (index, diff) in diffs.enumerated() {
    let number = String(index + 1)
    let padded = String(repeating: "0", count: digits - number.count) + number
    let name = diff.path.map { " " + OutputFile.split($0).name } ?? ""
    facts["diffkit.compose.parent.\(padded)"] = "\(diff.identity)\(name)"
  }
  return facts
}

/// What several diffs do to one tensor, one after the other.
struct EntryChain {
  let name: TensorName
  let entries: [DirectedEntry]

  /// - Throws: `unsupported` if an entry is an addition or does not follow from the one before.
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
    // The fingerprint of forged bytes may be that of others.
    let isAlike = last.entry.type == next.entry.type && last.shapeAfter == next.entry.shape
    guard isNext, isAlike || last.deletes else {
      throw DiffError(
        .unsupported,
        "was not made on the result of \(last.reader.path ?? "the diff before"); exact diffs are "
          + "composed in the order of their making",
        path: next.reader.path, tensor: next.entry.name)
    }
  }

  /// Writes the entry that stands for all; returns the changes of a sparse one. Nil if the tensor
  /// is in the end as it was.
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

  /// The error of a chain that the diffs alone do not tell.
  func needsBase(_ what: String) -> DiffError {
    DiffError(
      .unsupported, "\(what), so the diffs alone do not tell the old elements", tensor: name,
      remedy: .base)
  }

  /// The tensor that is deleted, as it is in the base.
  private func deleted(upTo end: Int?) throws(DiffError) -> Whole {
    guard let end, entries[..<end].allSatisfy({ $0.entry.operation == .xor }) else {
      throw needsBase("is replaced in part and then deleted")
    }
    // The deleted elements, and what takes each change back.
    return Whole([entries[end]] + entries[..<end])
  }
}

/// A tensor whose elements are all known.
private struct Whole {
  let entry: DiffEntry
  let patch: Patch

  /// What the first of some entries holds whole, with what the others do to it.
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

  /// Writes the XOR of a tensor as it was before it was deleted, and as it came back.
  private func writeDifference(
    _ old: Whole, _ new: Whole, _ writer: DiffWriter
  ) throws(DiffError) -> UInt64? {
    guard old.entry.type == new.entry.type, old.entry.shape == new.entry.shape else {
      throw needsBase("comes back with another type or shape")
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
