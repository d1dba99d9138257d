import TensorCore

/// Computes the fingerprint of a tensor from consecutive runs of its bytes.
package struct FingerprintStream {
  private let blockSize = Fingerprint.Builder.blockSize
  private var builder: Fingerprint.Builder
  /// The bytes of an incomplete block.
  private var partial: [UInt8] = []

  /// Creates a stream for a tensor, before its first byte.
  package init(_ type: ElementType, _ shape: Shape) {
    builder = Fingerprint.Builder(type, shape)
  }

  /// Appends the next bytes. Whole blocks are not copied.
  package mutating func append(_ bytes: Span<UInt8>) {
    var at = 0
    while at < bytes.count {
      let end = min(at + blockSize - partial.count, bytes.count)
      let run = bytes.extracting(at..<end)
      at = end
      if run.count == blockSize {
        builder.append(XXH3.hash128(run))
        continue
      }
      partial.append(copying: run)
      guard partial.count == blockSize else { continue }
      builder.append(XXH3.hash128(partial.span))
      partial.removeAll(keepingCapacity: true)
    }
  }

  /// Returns the fingerprint, after the last byte.
  package consuming func finish() -> Fingerprint {
    if !partial.isEmpty { builder.append(XXH3.hash128(partial.span)) }
    return builder.fingerprint
  }
}
