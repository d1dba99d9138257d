import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// What diffs change in a tensor in memory: elements, in pieces that a core takes at a time.
struct TensorPatch: Sendable {
  let bytes: ResidentBytes
  private let width: Int
  private let pieces: [Piece]

  /// Changes that follow each other.
  private struct Piece: Sendable {
    /// The position of the first change.
    var start: UInt64
    /// Positions less `start`, ascending.
    var offsets: [UInt32]
    /// The elements there without the diffs, and with them.
    var old: [UInt8] = []
    var new: [UInt8] = []

    /// Elements from the first change to the last, both included.
    var span: Int { Int(offsets[offsets.count - 1]) + 1 }
  }

  /// Which elements a tensor holds where it is patched.
  enum Side { case base, result }

  /// So many changes are worth a thread's while.
  private static let pieceCount = 1 << 15

  var changes: UInt64 { pieces.reduce(0) { $0 + UInt64($1.offsets.count) } }

  /// Decodes the entries of a plan and computes the elements that they leave in `bytes`, which
  /// are at the base, or changed from it by another patch.
  ///
  /// - Complexity: O(changes) for a single entry, O(n log n) for several.
  init(
    _ plan: TensorPlan, _ bytes: ResidentBytes, under other: TensorPatch?
  ) throws(DiffError) {
    let width = plan.type.width
    var pieces = Self.pieces(try Self.positions(plan.entries))
    var patch = plan.patch
    for index in pieces.indices {
      let (start, span) = (pieces[index].start, pieces[index].span)
      let offsets = pieces[index].offsets
      let region = bytes.span.extracting(Int(start) * width..<(Int(start) + span) * width)
      pieces[index].old = Kernels.gathered(region, width: width, at: offsets.span)
      other?.restore(&pieces[index].old, at: start, offsets)
      pieces[index].new = pieces[index].old
      let elements = start..<start + UInt64(span)
      try patch.move(to: elements)
      patch.apply(to: &pieces[index].new, elements, at: offsets)
    }
    self.bytes = bytes
    self.width = width
    self.pieces = pieces
  }

  /// The positions that any of the entries changes, ascending, each once.
  private static func positions(_ entries: [DirectedEntry]) throws(DiffError) -> [UInt64] {
    var positions: [UInt64] = []
    var page = PageBuffer()
    for directed in entries {
      for info in directed.entry.pages[.changes] ?? [] {
        try page.load(info, of: directed.entry, from: directed.reader.source)
        let (start, offsets) = (page.start, page.offsets)
        positions.reserveCapacity(positions.count + offsets.count)
        for i in offsets.indices { positions.append(start + UInt64(offsets[i])) }
      }
    }
    guard entries.count > 1 else { return positions }
    positions.sort()
    var distinct: [UInt64] = []
    for position in positions where distinct.last != position { distinct.append(position) }
    return distinct
  }

  private static func pieces(_ positions: [UInt64]) -> [Piece] {
    var pieces: [Piece] = []
    var next = 0
    while next < positions.count {
      let start = positions[next]
      var end = next
      while end < positions.count && end - next < pieceCount && positions[end] - start < 1 << 31 {
        end += 1
      }
      pieces.append(
        Piece(start: start, offsets: positions[next..<end].map { UInt32($0 - start) }))
      next = end
    }
    return pieces
  }

  /// Brings the base's elements into some that were read, end to end, from `offsets` behind `start`.
  /// O(changes + offsets).
  func restore(_ values: inout [UInt8], at start: UInt64, _ offsets: [UInt32]) {
    guard let last = offsets.last else { return }
    var mine = 0
    for piece in pieces {
      guard piece.start + UInt64(piece.span) > start, piece.start <= start + UInt64(last) else {
        continue
      }
      for (index, offset) in piece.offsets.enumerated() {
        let position = piece.start + UInt64(offset)
        while mine < offsets.count && start + UInt64(offsets[mine]) < position { mine += 1 }
        guard mine < offsets.count else { return }
        guard start + UInt64(offsets[mine]) == position else { continue }
        for byte in 0..<width { values[mine * width + byte] = piece.old[index * width + byte] }
      }
    }
  }

  /// The pieces: different ones may be stored by different threads.
  var pieceIndices: Range<Int> { pieces.indices }

  /// Brings the result's elements of a piece into the tensor, or those of the base back.
  func store(_ side: Side, piece index: Int) {
    let piece = pieces[index]
    bytes.change(at: Int(piece.start) * width, count: piece.span * width) { span in
      Kernels.scatter(
        .replace, &span, width: width, at: piece.offsets.span,
        side == .result ? piece.new.span : piece.old.span)
    }
  }
}
