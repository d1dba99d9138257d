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
