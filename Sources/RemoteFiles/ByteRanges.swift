import Algorithms

/// A set of byte offsets.
package struct ByteRanges: Sendable, Hashable {
  /// The ranges of the set, ascending; no two touch each other.
  package private(set) var ranges: [Range<UInt64>] = []

  /// Creates an empty set.
  package init() {}

  /// Adds a range; returns the number of bytes that were not in the set. O(log n) if it extends a
  /// range at its end.
  @discardableResult
  package mutating func insert(_ range: Range<UInt64>) -> UInt64 {
    guard !range.isEmpty else { return 0 }
    let first = ranges.partitioningIndex { $0.upperBound >= range.lowerBound }
    let end = ranges.partitioningIndex { $0.lowerBound > range.upperBound }
    var joined = range
    if first < end {
      joined =
        min(
          range.lowerBound, ranges[first].lowerBound)..<max(
          range.upperBound, ranges[end - 1].upperBound)
    }
    let before = ranges[first..<end].reduce(0) { $0 + UInt64($1.count) }
    if end == first + 1 {
      ranges[first] = joined
    } else {
      ranges.replaceSubrange(first..<end, with: [joined])
    }
    return UInt64(joined.count) - before
  }

  /// Returns the first bytes of a range that are not in the set, or nil if all are.
  package func firstMissing(in range: Range<UInt64>) -> Range<UInt64>? {
    var start = range.lowerBound
    var next = ranges.partitioningIndex { $0.upperBound > start }
    if next < ranges.count, ranges[next].lowerBound <= start {
      start = ranges[next].upperBound
      next += 1
    }
    guard start < range.upperBound else { return nil }
    return start..<min(range.upperBound, next < ranges.count ? ranges[next].lowerBound : .max)
  }
}
