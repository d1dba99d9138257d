/// A 128-bit hash of the contents of a tensor: its type, shape and little-endian bytes.
///
/// Not cryptographic: it detects a wrong base, not a deliberate forgery.
public struct Fingerprint: Sendable, Hashable, CustomStringConvertible {
  /// The upper and lower half.
  public let high, low: UInt64

  /// Creates a fingerprint from its halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Creates a fingerprint from its 16 stored bytes.
  package init(_ bytes: [UInt8], at index: Int) {
    self.init(high: bytes.littleEndian(at: index + 8), low: bytes.littleEndian(at: index))
  }

  /// 32 hexadecimal digits, the upper half first.
  public var description: String {
    high.hexadecimal + low.hexadecimal
  }

  /// The 16 stored bytes: both halves little-endian, the lower half first.
  package var bytes: [UInt8] { low.littleEndianBytes + high.littleEndianBytes }

  /// Returns the fingerprint of a tensor with these little-endian bytes.
  ///
  /// - Complexity: O(`bytes.count`).
  public static func of(_ type: ElementType, _ shape: Shape, _ bytes: Span<UInt8>) -> Fingerprint {
    var builder = Builder(type, shape)
    builder.append(BlockHashes(bytes))
    return builder.fingerprint
  }

  /// Calculates a tensor's fingerprint from the hashes of its blocks, in order; the blocks may be
  /// hashed on several cores.
  package struct Builder {
    /// The number of bytes of a block; the last one may be shorter. A multiple of every element
    /// width except 3, 5, 6 and 7: blocks are divided by bytes, not by elements.
    package static let blockSize = 1 << 20

    private var header: [UInt8]
    private var blocks: [UInt8] = []

    package init(_ type: ElementType, _ shape: Shape) {
      header = [type.rawValue, UInt8(shape.extents.count)]
      for extent in shape.extents { header += extent.littleEndianBytes }
    }

    package mutating func append(_ block: Fingerprint) { blocks += block.bytes }

    package mutating func append(_ hashes: BlockHashes) {
      if let first = hashes.first { append(first) }
      for hash in hashes.others { append(hash) }
    }

    package var fingerprint: Fingerprint { XXH3.hash128((header + blocks).span) }
  }
}

/// The hashes of the blocks of bytes that start at a block boundary of a fingerprint.
package struct BlockHashes: Sendable, Equatable {
  /// The hash of the first block, which is usually the only one.
  package private(set) var first: Fingerprint?
  /// The hashes of the other blocks.
  package private(set) var others: [Fingerprint] = []

  /// Creates an empty list of hashes.
  package init() {}

  /// Hashes the blocks of `bytes`. O(bytes).
  package init(_ bytes: Span<UInt8>) {
    var at = 0
    while at < bytes.count {
      let end = min(at + Fingerprint.Builder.blockSize, bytes.count)
      let hash = XXH3.hash128(bytes.extracting(at..<end))
      if first == nil { first = hash } else { others.append(hash) }
      at = end
    }
  }
}
