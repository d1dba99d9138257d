import CZlib

/// The checksum of zlib streams (RFC 1950), calculated by zlib.
package struct Adler32 {
  /// The checksum of the bytes so far.
  package private(set) var value: UInt32 = 1

  /// Creates the checksum of no bytes.
  package init() {}

  /// Adds the next bytes.
  package mutating func update(_ bytes: Span<UInt8>) {
    // zlib counts in 32 bits.
    for start in stride(from: 0, to: bytes.count, by: 1 << 30) {
      let part = bytes.extracting(start..<min(bytes.count, start + 1 << 30))
      unsafe part.withUnsafeBufferPointer {
        unsafe value = UInt32(
          truncatingIfNeeded: adler32(uLong(value), $0.baseAddress, UInt32($0.count)))
      }
    }
  }
}
