import DiffFormat
import Kernels
import TensorCore

/// An entry of a diff in one of its two directions.
struct DirectedEntry: Sendable {
  let reader: DiffReader
  let entry: DiffEntry
  /// From the result back to the base.
  let isReversed: Bool

  /// The tensor before and after; nil where it is unknown or does not exist.
  var before: Fingerprint? { isReversed ? entry.result : entry.base }
  var after: Fingerprint? { isReversed ? entry.base : entry.result }

  /// The shape before and after; the same if the tensor comes or goes.
  var shapeBefore: Shape { isReversed ? entry.newShape ?? entry.shape : entry.shape }
  var shapeAfter: Shape { isReversed ? entry.shape : entry.newShape ?? entry.shape }

  /// Whether the tensor comes or goes.
  var inserts: Bool { entry.operation == (isReversed ? .delete : .insert) }
  var deletes: Bool { entry.operation == (isReversed ? .insert : .delete) }

  var isReshape: Bool { if case .reshape = entry.operation { true } else { false } }
  var isAddition: Bool { if case .add = entry.operation { true } else { false } }
}

/// Changes to one tensor, block by block: the entries of several diffs in order, or the sum of
/// several additions.
struct Patch: Sendable {
  private var feeds: [PageFeed]
  /// Whether all feeds are additions to one base, to be summed.
  private let isSum: Bool

  init(_ entries: [DirectedEntry], isSum: Bool) {
    feeds = entries.map { PageFeed($0.reader, $0.entry) }
    self.isSum = isSum
  }

  mutating func move(to elements: Range<UInt64>) throws(DiffError) {
    for index in feeds.indices { try feeds[index].move(to: elements) }
  }

  func touches(_ elements: Range<UInt64>) -> Bool {
    feeds.contains { $0.touches(elements) }
  }

  /// Changes a block that holds `elements`.
  ///
  /// - Parameter places: the offsets, ascending, of the elements that the block holds, end to end;
  ///   all that the patch changes must be among them. By default it holds all.
  func apply(to block: inout [UInt8], _ elements: Range<UInt64>, at places: [UInt32]? = nil) {
    if isSum && feeds.count > 1 { return addSum(to: &block, elements, at: places) }
    for feed in feeds {
      feed.forEachSlice(of: elements) { page, range, offsets in
        Self.change(&block, feed.entry, page, range, Self.ranks(of: offsets, among: places))
      }
    }
  }

  /// Where offsets stand in a list of offsets, both ascending.
  private static func ranks(of offsets: [UInt32], among places: [UInt32]?) -> [UInt32] {
    guard let places, offsets.count < places.count else {
      return places == nil ? offsets : (0..<UInt32(offsets.count)).map { $0 }
    }
    var rank = 0
    return offsets.map { offset in
      while places[rank] < offset { rank += 1 }
      return UInt32(rank)
    }
  }

  /// The elements of a block where the first entry changes them.
  func gather(_ block: [UInt8], _ elements: Range<UInt64>) -> [UInt8] {
    guard let feed = feeds.first else { return [] }
    let width = feed.entry.type.width
    var gathered: [UInt8] = []
    feed.forEachSlice(of: elements) { _, _, offsets in
      gathered += Kernels.gathered(block.span, width: width, at: offsets.span)
    }
    return gathered
  }

  private static func change(
    _ block: inout [UInt8], _ entry: DiffEntry, _ page: borrowing PageBuffer,
    _ range: Range<Int>, _ offsets: [UInt32]
  ) {
    let width = page.valueWidth
    let values = page.values.extracting(range.lowerBound * width..<range.upperBound * width)
    var span = block.mutableSpan
    switch entry.operation {
    case .xor:
      Kernels.scatter(.xor, &span, width: width, at: offsets.span, values)
    case .replace, .insert, .delete, .reshape:
      Kernels.scatter(.replace, &span, width: width, at: offsets.span, values)
    case .add(let type, let scale):
      let deltas = Kernels.widened(values, type, scale)
      guard let float = entry.type.float else { return }
      Kernels.scatterAdd(&span, float, at: offsets.span, deltas.span)
    }
  }

  /// Adds the sum of all feeds, formed in float64 in the order of the diffs, with one rounding to
  /// the tensor's type of calculation.
  private func addSum(
    to block: inout [UInt8], _ elements: Range<UInt64>, at places: [UInt32]?
  ) {
    guard let float = feeds[0].entry.type.float else { return }
    // −0 is what changes nothing, not even the sign of a zero.
    var sums = [Double](repeating: -0.0, count: block.count / float.width)
    var touched: [UInt32] = []
    for feed in feeds {
      guard case .add(let type, let scale) = feed.entry.operation else { continue }
      feed.forEachSlice(of: elements) { page, range, offsets in
        let offsets = Self.ranks(of: offsets, among: places)
        let width = page.valueWidth
        let deltas = Kernels.widened(
          page.values.extracting(range.lowerBound * width..<range.upperBound * width), type, scale)
        for (offset, delta) in zip(offsets, deltas) { sums[Int(offset)] += delta }
        touched += offsets
      }
    }
    touched.sort()
    var offsets: [UInt32] = []
    for offset in touched where offsets.last != offset { offsets.append(offset) }
    let deltas = offsets.map { sums[Int($0)] }
    var span = block.mutableSpan
    Kernels.scatterAdd(&span, float, at: offsets.span, deltas.span)
  }
}
