import CZlib

/// The checksum of ZIP archives, calculated by zlib.
package enum CRC32 {
  /// Returns the checksum of `bytes`.
  package static func hash(_ bytes: Span<UInt8>) -> UInt32 {
    var hash = crc32(0, nil, 0)
    // zlib counts in 32 bits.
    for start in stride(from: 0, to: bytes.count, by: 1 << 30) {
      let part = bytes.extracting(start..<min(bytes.count, start + 1 << 30))
      unsafe part.withUnsafeBufferPointer {
        unsafe hash = crc32(hash, $0.baseAddress, UInt32($0.count))
      }
    }
    return UInt32(truncatingIfNeeded: hash)
  }
}
