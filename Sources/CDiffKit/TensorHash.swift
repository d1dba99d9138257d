import DiffOperations
import SystemSupport
import TensorCore

/// A `diffkit_hash`: computes the fingerprint of a tensor whose bytes are passed incrementally.
final class TensorHash: Handled {
  static let noun = "hash"

  private static let blockSize = Fingerprint.Builder.blockSize

  private let type: ElementType
  private let shape: Shape
  private var stream: FingerprintStream
  private var count: UInt64 = 0

  init(_ type: ElementType, _ shape: Shape) {
    self.type = type
    self.shape = shape
    stream = FingerprintStream(type, shape)
  }

  func update(_ bytes: Span<UInt8>) {
    count += UInt64(bytes.count)
    stream.append(bytes)
  }

  /// - Throws: `mismatch` if the number of bytes is not that of the tensor.
  func finish() throws(DiffError) -> Fingerprint {
    try Self.check(count, type, shape)
    return stream.finish()
  }

  private static func check(
    _ count: UInt64, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) {
    let (size, overflow) = shape.count.multipliedReportingOverflow(by: UInt64(type.width))
    guard !overflow, count == size else {
      throw DiffError(.mismatch, "\(count) bytes are not the size of \(type) \(shape)")
    }
  }

  /// Returns the fingerprint of a tensor in memory, computed on all cores.
  static func of(
    _ type: ElementType, _ shape: Shape, _ bytes: UnsafeBufferPointer<UInt8>
  ) throws(DiffError) -> Fingerprint {
    try check(UInt64(bytes.count), type, shape)
    let shared = unsafe SharedBytes(bytes: bytes)
    var hashes = [Fingerprint](
      repeating: Fingerprint(high: 0, low: 0), count: (bytes.count + blockSize - 1) / blockSize)
    try parallelForEach(&hashes) { index, hash throws(DiffError) in
      let end = min((index + 1) * blockSize, unsafe shared.bytes.count)
      hash = unsafe XXH3.hash128(shared.bytes.span.extracting(index * blockSize..<end))
    }
    var builder = Fingerprint.Builder(type, shape)
    for hash in hashes { builder.append(hash) }
    return builder.fingerprint
  }
}

@unsafe private struct SharedBytes: @unchecked Sendable {
  let bytes: UnsafeBufferPointer<UInt8>
}
