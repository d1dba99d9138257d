import TensorCore

/// Makes a tensor's fingerprint from its bytes, run by run.
package struct FingerprintStream {
  private let blockSize = Fingerprint.Builder.blockSize
  private var builder: Fingerprint.Builder
  /// The beginning of a block.
  private var partial: [UInt8] = []

  /// The fingerprint of a tensor of which no byte has come yet.
  package init(_ type: ElementType, _ shape: Shape) {
    builder = Fingerprint.Builder(type, shape)
  }

  /// Takes the next bytes. Blocks that they hold whole are not copied.
  package mutating func append(_ bytes: Span<UInt8>) {
    var at = 0
    while at < bytes.count {
      let end = min(at + blockSize - partial.count, bytes.count)
      let piece = bytes.extracting(at..<end)
      at = end
      if piece.count == blockSize {
        builder.append(XXH3.hash128(piece))
        continue
      }
      partial.append(copying: piece)
      guard partial.count == blockSize else { continue }
      builder.append(XXH3.hash128(partial.span))
      partial.removeAll(keepingCapacity: true)
    }
  }

  /// The fingerprint, after the last byte.
  package consuming func finish() -> Fingerprint {
    if !partial.isEmpty { builder.append(XXH3.hash128(partial.span)) }
    return builder.fingerprint
  }
}
