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
}
