import TensorCore

/// The layout of an overlap box in a tensor: the elements whose indices another shape has too
/// (spec/FORMAT.md, section 6.5).
package struct BoxLayout: Sendable {
  /// The number of elements of the tensor from the start of one run of box elements to the earliest
  /// start of the next, and the length of a run.
  private let period, run: UInt64
  /// The extents of the tensor and of the box in the dimensions outside a period.
  private let outer: [(tensor: UInt64, box: UInt64)]
  private let isEmpty: Bool

  /// Creates the layout, in a tensor of `shape`, of its overlap with a tensor of shape `other`.
  package init(of shape: Shape, overlapping other: Shape) {
    let box = shape.overlap(other)
    isEmpty = box.count == 0
    let pairs = isEmpty ? [] : Array(zip(shape.unitExtents, box.extents))
    // From the last dimension that is cut on, elements of the box are contiguous.
    let cut = pairs.lastIndex { $0 != $1 } ?? 0
    run = pairs[min(cut, pairs.count)...].reduce(1) { $0 * $1.1 }
    period = pairs[min(cut, pairs.count)...].reduce(1) { $0 * $1.0 }
    outer = pairs.prefix(cut).map { (tensor: $0.0, box: $0.1) }
  }

  /// A run of elements that is inside or outside the box.
  package struct Run: Equatable {
    package var isInside: Bool
    package var count: Int
  }

  /// Returns the runs that a range of positions in the tensor consists of, in order. O(runs ·
  /// rank).
  package func runs(of range: Range<UInt64>) -> [Run] {
    guard !isEmpty else { return [Run(isInside: false, count: range.count)] }
    var runs: [Run] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let within = position % period
      let isInside = within < run && isInBox(position / period)
      let end = position - within + (isInside ? run : period)
      let count = Int(min(end, range.upperBound) - position)
      if runs.last?.isInside == isInside {
        runs[runs.count - 1].count += count
      } else {
        runs.append(Run(isInside: isInside, count: count))
      }
      position += UInt64(count)
    }
    return runs
  }

  /// Returns the positions in the tensor of a range of positions in the box, as ranges in order.
  /// O(ranges · rank).
  package func ranges(ofBox box: Range<UInt64>) -> [Range<UInt64>] {
    var ranges: [Range<UInt64>] = []
    var position = box.lowerBound
    while position < box.upperBound {
      let within = position % run
      let count = min(run - within, box.upperBound - position)
      let start = periodIndex(position / run) * period + within
      if let last = ranges.last, last.upperBound == start {
        ranges[ranges.count - 1] = last.lowerBound..<start + count
      } else {
        ranges.append(start..<start + count)
      }
      position += count
    }
    return ranges
  }

  /// Returns whether the period with this index has elements of the box.
  private func isInBox(_ number: UInt64) -> Bool {
    var rest = number
    for extents in outer.reversed() {
      guard rest % extents.tensor < extents.box else { return false }
      rest /= extents.tensor
    }
    return true
  }

  /// Returns the index, among all periods, of the `number`-th one that has elements of the box.
  private func periodIndex(_ number: UInt64) -> UInt64 {
    var rest = number
    var index: UInt64 = 0
    var scale: UInt64 = 1
    for extents in outer.reversed() {
      index += rest % extents.box * scale
      rest /= extents.box
      scale *= extents.tensor
    }
    return index
  }
}
