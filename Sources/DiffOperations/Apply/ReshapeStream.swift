import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// Computes the bytes of a reshaped tensor, block by block from the first to the last.
struct ReshapeStream {
  private let width: UInt64
  private let old, new: BoxLayout
  private var reader: BlockReader
  private var changes, remainder: PageFeed
  /// The number of elements inside and outside the box that have been read.
  private var boxed: UInt64 = 0
  private var rest: UInt64 = 0

  /// Creates a stream of the tensor that an entry makes of one of `source`.
  init(_ directed: DirectedEntry, _ stored: StoredTensor, in source: any Checkpoint) {
    width = UInt64(directed.entry.type.width)
    old = BoxLayout(of: directed.shapeBefore, overlapping: directed.shapeAfter)
    new = BoxLayout(of: directed.shapeAfter, overlapping: directed.shapeBefore)
    reader = BlockReader(stored, in: source)
    changes = PageFeed(directed.reader, directed.entry)
    remainder = PageFeed(
      directed.reader, directed.entry, directed.isReversed ? .oldRemainder : .newRemainder)
  }

  /// Returns the bytes of the next block of the new tensor.
  mutating func next(_ block: Range<UInt64>) throws(DiffError) -> [UInt8] {
    let elements = block.lowerBound / width..<block.upperBound / width
    let runs = new.runs(of: elements)
    let inside = runs.reduce(0) { $0 + ($1.isInside ? UInt64($1.count) : 0) }
    let box = boxed..<boxed + inside
    let outside = rest..<rest + UInt64(elements.count) - inside
    (boxed, rest) = (box.upperBound, outside.upperBound)
    var kept = try reader.read(old.ranges(ofBox: box))
    try Self.scatter(.xor, &changes, box, into: &kept)
    var fresh = [UInt8](repeating: 0, count: outside.count * Int(width))
    try Self.scatter(.replace, &remainder, outside, into: &fresh)
    return interleave(runs, kept, fresh)
  }

  private static func scatter(
    _ operation: Kernels.Scatter, _ feed: inout PageFeed, _ range: Range<UInt64>,
    into bytes: inout [UInt8]
  ) throws(DiffError) {
    guard !range.isEmpty else { return }
    try feed.move(to: range)
    feed.forEachRun(of: range) { changes in
      var span = bytes.mutableSpan
      changes.scatter(operation, into: &span, at: range.lowerBound)
    }
  }

  private func interleave(
    _ runs: [BoxLayout.Run], _ inside: [UInt8], _ outside: [UInt8]
  ) -> [UInt8] {
    var (kept, fresh) = (inside[...], outside[...])
    var bytes: [UInt8] = []
    bytes.reserveCapacity(inside.count + outside.count)
    for run in runs {
      let count = run.count * Int(width)
      if run.isInside {
        bytes += kept.prefix(count)
        kept = kept.dropFirst(count)
      } else {
        bytes += fresh.prefix(count)
        fresh = fresh.dropFirst(count)
      }
    }
    return bytes
  }
}
