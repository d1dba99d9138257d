/// A 128-bit hash that names the contents of a tensor: its type, shape and little-endian bytes.
///
/// Not cryptographic: it tells a wrong base from the right one, not a forger from an author.
public struct Fingerprint: Sendable, Hashable, CustomStringConvertible {
  /// The upper and lower half.
  public let high, low: UInt64

  /// A fingerprint from its halves.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A fingerprint from its 16 bytes as stored.
  package init(_ bytes: [UInt8], at index: Int) {
    self.init(high: bytes.littleEndian(at: index + 8), low: bytes.littleEndian(at: index))
  }

  /// 32 hexadecimal digits, the upper half first.
  public var description: String {
    high.hexadecimal + low.hexadecimal
  }

  /// The 16 bytes as stored: both halves little-endian, the lower half first.
  package var bytes: [UInt8] { low.littleEndianBytes + high.littleEndianBytes }

  /// The fingerprint of a tensor whose little-endian bytes are at hand.
  ///
  /// - Complexity: O(`bytes.count`).
  public static func of(_ type: ElementType, _ shape: Shape, _ bytes: Span<UInt8>) -> Fingerprint {
    var builder = Builder(type, shape)
    builder.append(BlockHashes(bytes))
    return builder.fingerprint
  }

  /// Makes a tensor's fingerprint from the hashes of its blocks, in order: the blocks themselves
  /// may be hashed on several cores.
  package struct Builder {
    /// Bytes of a block; the last one may be shorter. A multiple of every element width but
    /// 3, 5, 6 and 7: blocks are cut in bytes, not in elements.
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

/// The hashes of bytes that begin where a block of a fingerprint does, a hash for each block.
package struct BlockHashes: Sendable, Equatable {
  /// That of the first block, which most often is all of them.
  package private(set) var first: Fingerprint?
  /// Those of the others.
  package private(set) var others: [Fingerprint] = []

  /// None.
  package init() {}

  /// Those of some bytes. O(bytes).
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
