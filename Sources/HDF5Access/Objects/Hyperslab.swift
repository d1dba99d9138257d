/// A box of elements: its start and its extent in each dimension.
package struct Hyperslab: Hashable {
  package var start: [UInt64]
  package var count: [UInt64]

  /// Returns the boxes that a range of positions consists of, in order.
  ///
  /// - Parameter extents: the extents of the tensor that contains the range, all above zero.
  /// - Complexity: O(rank²); at most 2 · rank − 1 boxes.
  package static func covering(_ range: Range<UInt64>, of extents: ArraySlice<UInt64>)
    -> [Hyperslab]
  {
    if range.isEmpty { return [] }
    guard !extents.isEmpty else { return [Hyperslab(start: [], count: [])] }
    let inner = extents.dropFirst()
    let length = inner.reduce(1, *)
    let first = range.lowerBound / length
    let last = (range.upperBound - 1) / length
    if first == last && range.count < length {
      return part(of: first, range, length, inner)
    }
    // The end of a row, whole rows, the start of a row.
    let whole = (range.lowerBound + length - 1) / length..<range.upperBound / length
    var boxes: [Hyperslab] = []
    if whole.lowerBound > first {
      boxes += part(of: first, range.lowerBound..<whole.lowerBound * length, length, inner)
    }
    if !whole.isEmpty {
      boxes.append(
        Hyperslab(
          start: [whole.lowerBound] + inner.map { _ in 0 },
          count: [whole.upperBound - whole.lowerBound] + inner))
    }
    if whole.upperBound <= last {
      boxes += part(of: last, whole.upperBound * length..<range.upperBound, length, inner)
    }
    return boxes
  }

  private static func part(
    of row: UInt64, _ range: Range<UInt64>, _ length: UInt64, _ inner: ArraySlice<UInt64>
  ) -> [Hyperslab] {
    let within = range.lowerBound - row * length..<range.upperBound - row * length
    return covering(within, of: inner).map {
      Hyperslab(start: [row] + $0.start, count: [1] + $0.count)
    }
  }
}
