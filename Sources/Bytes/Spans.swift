import Platform

extension [UInt8] {
  /// Appends the bytes of a span.
  package mutating func append(copying bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}

extension Span<UInt8> {
  /// Returns a number less than zero if these bytes precede others in lexicographic order, zero if
  /// they are equal.
  package func compared(with other: Span<UInt8>) -> Int {
    let order = unsafe withUnsafeBytes { one in
      unsafe other.withUnsafeBytes { two in
        guard let a = one.baseAddress, let b = two.baseAddress else { return CInt(0) }
        return unsafe memcmp(a, b, min(one.count, two.count))
      }
    }
    return order == 0 ? count - other.count : Int(order)
  }
}

extension Hasher {
  /// Hashes bytes.
  package mutating func combine(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBytes { unsafe combine(bytes: $0) }
  }
}

extension MutableSpan where Element: BitwiseCopyable {
  /// Overwrites elements, starting at `start`, with the elements of another span, which must fit.
  package mutating func copy(_ other: Span<Element>, at start: Int = 0) {
    precondition(start >= 0 && start <= count && other.count <= count - start)
    unsafe withUnsafeMutableBufferPointer { to in
      unsafe other.withUnsafeBufferPointer { from in
        guard let base = from.baseAddress, let out = to.baseAddress else { return }
        unsafe (out + start).update(from: base, count: from.count)
      }
    }
  }
}
