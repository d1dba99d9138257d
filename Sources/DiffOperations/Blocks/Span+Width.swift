extension Span<UInt8> {
  /// Returns the little-endian number of `width` ≤ 8 bytes that begins at an index.
  package func littleEndian(at index: Int, width: Int) -> UInt64 {
    var number: UInt64 = 0
    for byte in 0..<width { number |= UInt64(self[index + byte]) << UInt64(8 * byte) }
    return number
  }
}
