import TensorCore

/// Where the elements of an overlap box lie in a tensor: the part of its elements whose indices
/// another shape has too (spec/FORMAT.md, section 6.5).
package struct BoxLayout: Sendable {
  /// Elements of the tensor from the beginning of one run of box elements to where the next could
  /// begin, and those of them that a run has.
  private let period, run: UInt64
  /// The extents of the tensor and of the box in the dimensions outside of a period.
  private let outer: [(tensor: UInt64, box: UInt64)]
  private let isEmpty: Bool

  /// The layout in a tensor of `shape` of its overlap with a tensor of shape `other`.
  package init(of shape: Shape, overlapping other: Shape) {
    let box = shape.overlap(other)
    isEmpty = box.count == 0
    let pairs = isEmpty ? [] : Array(zip(shape.unitExtents, box.extents))
    // Inside of the last dimension that is cut, elements of the box are neighbours.
    let cut = pairs.lastIndex { $0 != $1 } ?? 0
    run = pairs[min(cut, pairs.count)...].reduce(1) { $0 * $1.1 }
    period = pairs[min(cut, pairs.count)...].reduce(1) { $0 * $1.0 }
    outer = pairs.prefix(cut).map { (tensor: $0.0, box: $0.1) }
  }

  /// A stretch of a tensor that is inside the box, or outside of it.
  package struct Segment: Equatable {
    package var isInside: Bool
    package var count: Int
  }

  /// What a range of positions in the tensor consists of, in order. O(segments · rank).
  package func segments(of range: Range<UInt64>) -> [Segment] {
    guard !isEmpty else { return [Segment(isInside: false, count: range.count)] }
    var segments: [Segment] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let within = position % period
      let isInside = within < run && isInBox(position / period)
      let end = position - within + (isInside ? run : period)
      let count = Int(min(end, range.upperBound) - position)
      if segments.last?.isInside == isInside {
        segments[segments.count - 1].count += count
      } else {
        segments.append(Segment(isInside: isInside, count: count))
      }
      position += UInt64(count)
    }
    return segments
  }

  /// The positions in the tensor of a range of positions in the box, as ranges in order.
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

  /// Whether the period with this number has elements of the box.
  private func isInBox(_ number: UInt64) -> Bool {
    var rest = number
    for extents in outer.reversed() {
      guard rest % extents.tensor < extents.box else { return false }
      rest /= extents.tensor
    }
    return true
  }

  /// The number among all periods of the one with this number among those that have elements of
  /// the box.
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
