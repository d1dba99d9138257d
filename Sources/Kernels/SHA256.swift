import CKernels
import TensorCore

/// The SHA-256 hash (FIPS 180-4) of bytes that arrive in parts, used for a store's files.
package struct SHA256: Sendable {
  private static let blockSize = 64

  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
    0x5be0_cd19,
  ]
  private var count: UInt64 = 0
  /// The bytes of an incomplete block.
  private var partial: [UInt8] = []
  private let isPortable: Bool

  /// Creates the hash of no bytes.
  ///
  /// - Parameter portably: whether to avoid the processor's instructions for SHA-256.
  package init(portably: Bool = false) { isPortable = portably }

  /// Adds the next bytes.
  package mutating func update(_ bytes: Span<UInt8>) {
    count += UInt64(bytes.count)
    var rest = bytes
    if !partial.isEmpty {
      let taken = min(Self.blockSize - partial.count, bytes.count)
      partial.append(copying: bytes.extracting(0..<taken))
      rest = bytes.extracting(taken...)
      guard partial.count == Self.blockSize else { return }
      let block = partial
      partial.removeAll(keepingCapacity: true)
      take(block.span)
    }
    let whole = rest.count / Self.blockSize * Self.blockSize
    take(rest.extracting(0..<whole))
    partial.append(copying: rest.extracting(whole...))
  }

  /// The hash of all bytes so far, as 64 hexadecimal digits.
  package var digest: String { words.map(\.hexadecimal).joined() }

  /// The hash of all bytes so far: 32 bytes.
  package var bytes: [UInt8] { words.flatMap { $0.byteSwapped.littleEndianBytes } }

  /// The state after the padding, as if the message ended here.
  private var words: [UInt32] {
    var last = self
    var padding: [UInt8] = [0x80]
    let used = (partial.count + 1 + 8) % Self.blockSize
    padding += [UInt8](repeating: 0, count: (Self.blockSize - used) % Self.blockSize)
    padding += (count * 8).littleEndianBytes.reversed()
    last.update(padding.span)
    return last.state
  }

  private mutating func take(_ blocks: Span<UInt8>) {
    guard !blocks.isEmpty else { return }
    unsafe Kernels.memory(blocks) { bytes in
      unsafe dk_sha256(&state, bytes.baseAddress, bytes.count / Self.blockSize, isPortable ? 1 : 0)
    }
  }
}
