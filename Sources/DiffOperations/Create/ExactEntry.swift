import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// Writes an exact entry of a tensor from its blocks before and after.
struct ExactEntry: ~Copyable {
  /// A block before and after; its buffers are reused.
  struct Block: Sendable {
    var base: [UInt8] = []
    var tuned: [UInt8] = []
    private(set) var baseHash = BlockHashes()
    private(set) var tunedHash = BlockHashes()
    private(set) var differences = Differences()

    /// Finds the differences and hashes both blocks.
    ///
    /// - Parameters:
    ///   - width: the size of an element in bytes.
    ///   - index: the position of the block's first element.
    mutating func compare(width: Int, at index: UInt64, _ mode: Kernels.Scatter) {
      differences = Differences(from: base, to: tuned, width: width, at: index, mode)
      baseHash = BlockHashes(base.span)
      tunedHash = differences.changes.isEmpty ? baseHash : BlockHashes(tuned.span)
    }
  }

  private let entry: DiffEntry
  private let writer: DiffWriter
  private var baseBuilder, tunedBuilder: Fingerprint.Builder
  private var oldHash = XXH3Stream()
  private var changes: UInt64 = 0

  init(_ entry: DiffEntry, to writer: DiffWriter) {
    self.entry = entry
    self.writer = writer
    baseBuilder = Fingerprint.Builder(entry.type, entry.shape)
    tunedBuilder = baseBuilder
  }

  /// Writes the differences of the next block. The entry begins at the first change.
  mutating func append(_ block: Block) throws(DiffError) {
    baseBuilder.append(block.baseHash)
    tunedBuilder.append(block.tunedHash)
    let differences = block.differences
    guard !differences.changes.isEmpty else { return }
    if changes == 0 { try writer.begin(entry) }
    changes += UInt64(differences.changes.count)
    oldHash.update(differences.old.span)
    try writer.append(differences.changes)
  }

  /// Ends the entry, if there are any changes.
  func end() throws(DiffError) -> WrittenPair {
    let written = WrittenPair(
      changes: changes > 0 ? changes : nil, base: baseBuilder.fingerprint,
      result: tunedBuilder.fingerprint)
    if changes > 0 {
      try writer.end(base: written.base, result: written.result, old: oldHash.digest)
    }
    return written
  }
}
