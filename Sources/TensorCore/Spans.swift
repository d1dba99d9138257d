extension [UInt8] {
  /// Appends the bytes of a span.
  package mutating func append(copying bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}

extension MutableSpan where Element: BitwiseCopyable {
  /// Overwrites the beginning with the elements of another span, which must not be longer.
  package mutating func copy(_ other: Span<Element>) {
    precondition(other.count <= count)
    unsafe withUnsafeMutableBufferPointer { to in
      unsafe other.withUnsafeBufferPointer { from in
        guard let base = from.baseAddress, let out = to.baseAddress else { return }
        unsafe out.update(from: base, count: from.count)
      }
    }
  }
}

extension Span<UInt32> {
  /// The first index whose `origin + offset` is not below `position`. O(log n).
  package func firstIndex(notBelow position: UInt64, from origin: UInt64) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if origin + UInt64(self[middle]) < position { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
