extension FloatBuffer {
  /// Takes over all values of another buffer, from `start` on.
  package func copy(_ other: FloatBuffer, to start: Int = 0) {
    copy(other, 0..<other.count, to: start)
  }

  /// Takes over some values of another buffer, from `start` on.
  package func copy(_ other: FloatBuffer, _ range: Range<Int>, to start: Int) {
    precondition(range.upperBound <= other.count && range.count <= count - start)
    unsafe pointer(at: start).update(from: other.pointer(at: range.lowerBound), count: range.count)
  }

  /// Sets a part to one number.
  package func fill(_ range: Range<Int>, _ value: Float) {
    precondition(range.upperBound <= count)
    unsafe pointer(at: range.lowerBound).update(repeating: value, count: range.count)
  }

  /// The memory of some values, in the machine's byte order.
  @_lifetime(borrow self)
  package func bytes(_ range: Range<Int>) -> Span<UInt8> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let bytes = unsafe UnsafeRawBufferPointer(
      start: pointer(at: range.lowerBound), count: range.count * MemoryLayout<Float>.stride)
    let span = unsafe Span<UInt8>(_unsafeBytes: bytes)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// The same, to be changed.
  @_lifetime(borrow self)
  package func mutableBytes(_ range: Range<Int>) -> MutableSpan<UInt8> {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let bytes = unsafe UnsafeMutableRawBufferPointer(
      start: pointer(at: range.lowerBound), count: range.count * MemoryLayout<Float>.stride)
    let span = unsafe MutableSpan<UInt8>(_unsafeBytes: bytes)
    return unsafe _overrideLifetime(span, borrowing: self)
  }
}
