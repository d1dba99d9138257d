/// Fletcher's checksum (1982) of big-endian words of 16 bits, as HDF5's filter of that name stores
/// it; an odd last byte is the upper half of a word.
enum Fletcher32 {
  static func sum(_ bytes: Span<UInt8>) -> UInt32 {
    var (first, second) = (UInt64(0), UInt64(0))
    var index = 0
    while index < bytes.count {
      // 2^19 words: neither sum can overflow.
      let end = min(bytes.count, index + 1 << 20)
      while index + 1 < end {
        first += UInt64(bytes[index]) << 8 | UInt64(bytes[index + 1])
        second += first
        index += 2
      }
      if index < end {
        first += UInt64(bytes[index]) << 8
        second += first
        index += 1
      }
      (first, second) = (reduced(first), reduced(second))
    }
    return UInt32(second << 16 | first)
  }

  /// Returns the sum modulo 65535, with 65535 instead of 0 for sums above zero, as folding gives
  /// it.
  private static func reduced(_ sum: UInt64) -> UInt64 { sum == 0 ? 0 : (sum - 1) % 65535 + 1 }
}
