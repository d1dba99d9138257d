extension Span<UInt8> {
  /// The number whose bytes begin at an index, of which there are at most eight.
  package func littleEndian(at index: Int, width: Int) -> UInt64 {
    var number: UInt64 = 0
    for byte in 0..<width { number |= UInt64(self[index + byte]) << UInt64(8 * byte) }
    return number
  }
}
