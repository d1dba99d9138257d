import Algorithms
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// An entry of a diff in one of its two directions.
struct DirectedEntry: Sendable {
  let reader: DiffReader
  let entry: DiffEntry
  /// The index of the diff among those that are applied, in order.
  let number: Int
  /// True if the entry is reverted: from the result to the base.
  let isReversed: Bool

  /// The fingerprint before and after; nil if it is unknown or the tensor does not exist.
  var before: Fingerprint? { isReversed ? entry.result : entry.base }
  var after: Fingerprint? { isReversed ? entry.base : entry.result }

  /// The shape before and after; equal if the tensor is inserted or deleted.
  var shapeBefore: Shape { isReversed ? entry.newShape ?? entry.shape : entry.shape }
  var shapeAfter: Shape { isReversed ? entry.shape : entry.newShape ?? entry.shape }

  /// True if the tensor is inserted or deleted, respectively.
  var inserts: Bool { entry.operation == (isReversed ? .delete : .insert) }
  var deletes: Bool { entry.operation == (isReversed ? .insert : .delete) }

  /// The index and path of the diff, for messages.
  var link: (number: Int, path: String) { (number, reader.path ?? "a diff") }

  var isReshape: Bool { entry.isReshape }
  var isAddition: Bool { entry.isAddition }
}

/// Changes to one tensor, block by block: the entries of several diffs in order, or the sum of
/// several additions.
struct Patch: Sendable {
  private var feeds: [PageFeed]
  private let scratches = Guarded<[PageScratch]>([])
  /// True if all feeds are additions to one base, to be summed.
  private let isSum: Bool

  init(_ entries: [DirectedEntry], isSum: Bool) {
    feeds = entries.map { PageFeed($0.reader, $0.entry) }
    self.isSum = isSum
  }

  mutating func move(to elements: Range<UInt64>) throws(DiffError) {
    try feeds.move(to: elements, using: scratches)
  }

  func touches(_ elements: Range<UInt64>) -> Bool {
    feeds.contains { $0.touches(elements) }
  }

  /// Changes a block that holds `elements`. Returns the number of elements that additions made
  /// infinite.
  ///
  /// - Parameter held: the offsets, ascending, of the elements that the block holds, concatenated;
  ///   they must include all that the patch changes. By default it holds all elements.
  @discardableResult
  func apply(
    to block: inout [UInt8], _ elements: Range<UInt64>, at held: [UInt32]? = nil
  ) -> Int {
    if isSum && feeds.count > 1 { return addSum(to: &block, elements, at: held) }
    var infinite = 0
    for feed in feeds {
      forEachRun(of: feed, elements, at: held) { changes in
        var span = block.mutableSpan
        infinite += changes.apply(feed.entry, to: &span, at: elements.lowerBound)
      }
    }
    return infinite
  }

  /// Calls `body` with the changes of a feed. If the block holds only some elements, offsets are
  /// ranks among them.
  private func forEachRun(
    of feed: PageFeed, _ elements: Range<UInt64>, at held: [UInt32]?,
    _ body: (ChangeView<UInt8>) -> Void
  ) {
    let origin = elements.lowerBound
    feed.forEachRun(of: elements) { changes in
      guard let held else { return body(changes) }
      var rank = 0
      let ranks = changes.offsets(from: origin).map { offset in
        while held[rank] < offset { rank += 1 }
        return UInt32(rank)
      }
      body(ChangeView(at: origin, ranks.span, changes.values))
    }
  }

  /// Calls `body` with each block of a tensor all of whose elements the patch holds.
  func forEachBlock(
    of type: ElementType, _ shape: Shape,
    _ body: (Range<UInt64>, [UInt8]) throws(DiffError) -> Void
  ) throws(DiffError) {
    var patch = self
    let width = UInt64(type.width)
    try Blocks.forEachWindow(of: shape.count * width, width: type.width) {
      window throws(DiffError) in
      for block in window {
        let elements = block.lowerBound / width..<block.upperBound / width
        try patch.move(to: elements)
        var bytes = [UInt8](repeating: 0, count: block.count)
        patch.apply(to: &bytes, elements)
        try body(elements, bytes)
      }
    }
  }

  /// Returns the offsets of the elements of a block that the entries change, ascending.
  func positions(in elements: Range<UInt64>) -> [UInt32] {
    guard feeds.count > 1 else {
      var positions: [UInt32] = []
      feeds.first?.forEachRun(of: elements) {
        positions += $0.offsets(from: elements.lowerBound)
      }
      return positions
    }
    var marks = [UInt8](repeating: 0, count: (elements.count + 7) / 8)
    for feed in feeds {
      feed.forEachRun(of: elements) { changes in
        for offset in changes.offsets(from: elements.lowerBound) {
          marks[Int(offset >> 3)] |= 1 << UInt8(offset & 7)
        }
      }
    }
    let count = marks.reduce(0) { $0 + $1.nonzeroBitCount }
    var positions = [UInt32](repeating: 0, count: count + 64)
    var span = positions.mutableSpan
    _ = Kernels.selectOnes(marks.span, into: &span)
    positions.removeLast(64)
    return positions
  }

  /// Returns the elements of a block that the first entry changes.
  func gather(_ block: [UInt8], _ elements: Range<UInt64>) -> [UInt8] {
    guard let feed = feeds.first else { return [] }
    var gathered: [UInt8] = []
    feed.forEachRun(of: elements) { changes in
      gathered += changes.gathered(
        from: block.span, width: feed.entry.type.width, at: elements.lowerBound)
    }
    return gathered
  }

  /// Adds the sum of all feeds, computed in float64 in the order of the diffs, with one rounding to
  /// the tensor's type of calculation.
  private func addSum(
    to block: inout [UInt8], _ elements: Range<UInt64>, at held: [UInt32]?
  ) -> Int {
    guard let float = feeds[0].entry.type.float else { return 0 }
    let origin = elements.lowerBound
    // Adding −0 changes nothing, not even the sign of a zero.
    var sums = [Double](repeating: -0.0, count: block.count / float.width)
    var touched: [UInt32] = []
    for feed in feeds {
      guard case .add(let type, let scale) = feed.entry.operation else { continue }
      forEachRun(of: feed, elements, at: held) { changes in
        let offsets = changes.offsets(from: origin)
        let deltas = changes.numbers(type, scale: scale)
        for (offset, delta) in zip(offsets, deltas) { sums[Int(offset)] += delta }
        touched += offsets
      }
    }
    let offsets = Array(touched.sorted().uniqued())
    let deltas = offsets.map { sums[Int($0)] }
    var span = block.mutableSpan
    return ChangeView(at: origin, offsets.span, deltas.span).add(to: &span, float, at: origin)
  }
}
