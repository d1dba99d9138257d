extension FloatBuffer {
  /// Copies all values of another buffer to this one, from `start` on.
  package func copy(_ other: FloatBuffer, to start: Int = 0) {
    copy(other, 0..<other.count, to: start)
  }

  /// Copies a range of another buffer to this one, from `start` on.
  package func copy(_ other: FloatBuffer, _ range: Range<Int>, to start: Int) {
    precondition(range.upperBound <= other.count && range.count <= count - start)
    unsafe pointer(at: start).update(from: other.pointer(at: range.lowerBound), count: range.count)
  }

  /// Sets a range to one number.
  package func fill(_ range: Range<Int>, _ value: Float) {
    precondition(range.upperBound <= count)
    unsafe pointer(at: range.lowerBound).update(repeating: value, count: range.count)
  }

  /// Returns the bytes of a range, in the machine's byte order.
  @_lifetime(borrow self)
  package func bytes(_ range: Range<Int>) -> Span<UInt8> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let bytes = unsafe UnsafeRawBufferPointer(
      start: pointer(at: range.lowerBound), count: range.count * MemoryLayout<Float>.stride)
    let span = unsafe Span<UInt8>(_unsafeBytes: bytes)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Returns the mutable bytes of a range, in the machine's byte order.
  @_lifetime(borrow self)
  package func mutableBytes(_ range: Range<Int>) -> MutableSpan<UInt8> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      start: pointer(at: range.lowerBound), count: range.count * MemoryLayout<Float>.stride)
    let span = unsafe MutableSpan<UInt8>(_unsafeBytes: bytes)
    return unsafe _overrideLifetime(span, borrowing: self)
  }
}
