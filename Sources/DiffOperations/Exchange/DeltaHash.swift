import Compression
import TensorCore

/// Computes the checksum of a tensor's bytes, as a delta states it, from consecutive runs.
struct DeltaHash: ~Copyable {
  private let checksum: DeltaChecksum
  private let isDecimal: Bool
  private var xxh3 = XXH3Stream()
  private var adler = Adler32()

  /// Creates a checksum of no bytes.
  ///
  /// - Parameter isDecimal: whether a number is written in decimal.
  init(_ checksum: DeltaChecksum, isDecimal: Bool) {
    self.checksum = checksum
    self.isDecimal = isDecimal
  }

  mutating func update(_ bytes: Span<UInt8>) {
    switch checksum {
    case .xxh3: xxh3.update(bytes)
    case .adler32: adler.update(bytes)
    }
  }

  /// The text of the checksum.
  var text: String {
    guard checksum == .adler32 else { return xxh3.digest.description }
    return isDecimal ? "\(adler.value)" : adler.value.hexadecimal
  }
}
