import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// Makes a tensor of another shape: takes what both shapes have from the source, changed by the
/// entry, and the rest from the entry.
struct ReshapePass {
  let plan: TensorPlan
  let source: any Checkpoint

  private var directed: DirectedEntry { plan.entries[0] }

  /// Tells which of its two shapes and fingerprints the tensor has. O(bytes of the tensor).
  func classify() throws(DiffError) -> TensorState {
    guard let stored = plan.stored else { return .other }
    let found = try source.fingerprint(of: stored)
    return found == plan.before ? .base : found == plan.after ? .result : .other
  }

  /// Writes the new tensor. The source must be at the base.
  ///
  /// - Throws: `checksum` if the result is not the one that the diff promises.
  /// - Complexity: O(bytes of both tensors).
  func run(
    to output: any CheckpointOutput, _ progress: inout ProgressCounter
  ) throws(DiffError) {
    guard let stored = plan.stored else { return }
    let target = try output.reshape(stored, to: directed.shapeAfter)
    let width = UInt64(plan.type.width)
    let old = BoxLayout(of: directed.shapeBefore, overlapping: directed.shapeAfter)
    let new = BoxLayout(of: directed.shapeAfter, overlapping: directed.shapeBefore)
    var reader = BlockReader(stored, in: source)
    var changes = PageFeed(directed.reader, directed.entry)
    var remainder = PageFeed(
      directed.reader, directed.entry, directed.isReversed ? .oldRemainder : .newRemainder)
    var builder = Fingerprint.Builder(plan.type, directed.shapeAfter)
    var boxed: UInt64 = 0
    var rest: UInt64 = 0
    try Blocks.forEachWindow(of: target.byteCount, width: Int(width)) { window throws(DiffError) in
      for block in window {
        let segments = new.segments(
          of: block.lowerBound / width..<block.upperBound / width)
        let inside = segments.reduce(0) { $0 + ($1.isInside ? UInt64($1.count) : 0) }
        let box = boxed..<boxed + inside
        let outside = rest..<rest + (block.upperBound - block.lowerBound) / width - inside
        boxed = box.upperBound
        rest = outside.upperBound
        var kept = try reader.read(old.ranges(ofBox: box))
        try scatter(.xor, &changes, box, into: &kept)
        var fresh = [UInt8](repeating: 0, count: outside.count * Int(width))
        try scatter(.replace, &remainder, outside, into: &fresh)
        let bytes = interleave(segments, kept, fresh)
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

  private func scatter(
    _ operation: Kernels.Scatter, _ feed: inout PageFeed, _ range: Range<UInt64>,
    into bytes: inout [UInt8]
  ) throws(DiffError) {
    guard !range.isEmpty else { return }
    try feed.move(to: range)
    feed.forEachSlice(of: range) { changes in
      var span = bytes.mutableSpan
      changes.scatter(operation, into: &span, at: range.lowerBound)
    }
  }

  private func interleave(
    _ segments: [BoxLayout.Segment], _ inside: [UInt8], _ outside: [UInt8]
  ) -> [UInt8] {
    let width = plan.type.width
    var (kept, fresh) = (inside[...], outside[...])
    var bytes: [UInt8] = []
    bytes.reserveCapacity(inside.count + outside.count)
    for segment in segments {
      let count = segment.count * width
      if segment.isInside {
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

extension UndoWriter {
  /// Writes the entry of a reshape the other way round: the same changes, the remainders swapped.
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
