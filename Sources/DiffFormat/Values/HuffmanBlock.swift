import Kernels

/// An encoder of bytes without matches as one block of deflate (RFC 1951) with dynamic Huffman
/// codes (D. A. Huffman 1952): the same as zlib with `Z_HUFFMAN_ONLY`, in a quarter of the time.
struct HuffmanBlock {
  /// The codes of each byte and of the end of the block: the bits, the first one lowest, and in the
  /// upper half the length.
  private let codes: [UInt32]
  /// The bits of the block before the first byte's code.
  private var header = BitWriter()
  /// The size of the whole block in bytes.
  let size: Int

  /// The maximum length of a code: four codes and the bits of an incomplete byte fit in 64 bits.
  private static let longest = 14

  /// Creates a block for bytes with this histogram, in which at least two counts are not zero.
  init(_ histogram: [UInt32]) {
    let counts = histogram + [1]
    let lengths = Self.lengths(counts, limit: Self.longest)
    codes = Self.codes(lengths)
    header.append(0b101, bits: 3)  // the last block, with dynamic codes
    // Two codes for distances, as zlib writes them, though none is used.
    header.appendLengths(lengths, [1, 1])
    var bits = header.bits
    for (count, length) in zip(counts, lengths) { bits += Int(count) * length }
    size = (bits + 7) / 8
  }

  /// Appends the block of `bytes`.
  func encode(_ bytes: Span<UInt8>, into out: inout [UInt8]) {
    out += header.bytes
    Kernels.appendCodes(
      of: bytes, codes, pending: header.pending, held: header.held,
      size: size - header.bytes.count, to: &out)
  }

  /// Returns the lengths of a Huffman code for symbols with these counts, at most `limit`; zero for
  /// symbols that do not occur.
  static func lengths(_ counts: [UInt32], limit: Int) -> [Int] {
    var counts = counts
    while true {
      let depths = depths(counts)
      if depths.allSatisfy({ $0 <= limit }) { return depths }
      // Flatter counts make a less deep tree.
      counts = counts.map { $0 == 0 ? 0 : $0 >> 1 | 1 }
    }
  }

  /// Returns the depth of each symbol in the tree, whose two lightest nodes are joined until one is
  /// left.
  private static func depths(_ counts: [UInt32]) -> [Int] {
    let leaves = counts.indices.filter { counts[$0] > 0 }
      .map { UInt64(counts[$0]) << 16 | UInt64($0) }.sorted()
    // Leaves, then the joined nodes, whose weights ascend in order of creation as well.
    var weights = leaves.map { $0 >> 16 }
    var parents = [Int](repeating: 0, count: max(0, 2 * leaves.count - 1))
    var leaf = 0
    var joined = leaves.count
    func lightest() -> Int {
      let isLeaf =
        leaf < leaves.count && (joined == weights.count || weights[leaf] <= weights[joined])
      defer { if isLeaf { leaf += 1 } else { joined += 1 } }
      return isLeaf ? leaf : joined
    }
    while weights.count < parents.count {
      let pair = (lightest(), lightest())
      parents[pair.0] = weights.count
      parents[pair.1] = weights.count
      weights.append(weights[pair.0] + weights[pair.1])
    }
    var depths = [Int](repeating: 0, count: parents.count)
    for node in parents.indices.dropLast().reversed() { depths[node] = depths[parents[node]] + 1 }
    var result = [Int](repeating: 0, count: counts.count)
    for (node, leaf) in leaves.enumerated() { result[Int(leaf & 0xFFFF)] = depths[node] }
    return result
  }

  /// Returns the canonical code with these lengths.
  static func codes(_ lengths: [Int]) -> [UInt32] {
    var codes = [UInt32](repeating: 0, count: lengths.count)
    var next: UInt32 = 0
    for length in 1...15 {
      next <<= 1
      for symbol in lengths.indices where lengths[symbol] == length {
        var reversed: UInt32 = 0
        for bit in 0..<length { reversed |= (next >> UInt32(bit) & 1) << UInt32(length - 1 - bit) }
        codes[symbol] = reversed | UInt32(length) << 16
        next += 1
      }
    }
    return codes
  }
}

/// A writer of bits in the order of deflate, the lowest of a byte first.
struct BitWriter {
  private(set) var bytes: [UInt8] = []
  /// The bits that do not fill a byte yet.
  private(set) var pending: UInt64 = 0
  private(set) var held = 0

  var bits: Int { bytes.count * 8 + held }

  mutating func append(_ value: UInt32, bits: Int) {
    pending |= UInt64(value) << UInt64(held)
    held += bits
    while held >= 8 {
      bytes.append(UInt8(truncatingIfNeeded: pending))
      pending >>= 8
      held -= 8
    }
  }

  /// Appends the lengths of two codes, run-length coded, with a separate Huffman code (RFC 1951,
  /// 3.2.7).
  mutating func appendLengths(_ literals: [Int], _ distances: [Int]) {
    append(UInt32(literals.count - 257), bits: 5)
    append(UInt32(distances.count - 1), bits: 5)
    let symbols = Self.runs(literals + distances)
    var counts = [UInt32](repeating: 0, count: 19)
    for symbol in symbols { counts[symbol.code] += 1 }
    let lengths = HuffmanBlock.lengths(counts, limit: 7)
    let codes = HuffmanBlock.codes(lengths)
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    let used = max(4, (order.lastIndex { lengths[$0] > 0 } ?? 0) + 1)
    append(UInt32(used - 4), bits: 4)
    for code in order.prefix(used) { append(UInt32(lengths[code]), bits: 3) }
    for symbol in symbols {
      append(codes[symbol.code] & 0xFFFF, bits: lengths[symbol.code])
      append(UInt32(symbol.extra), bits: symbol.bits)
    }
  }

  /// Returns the run-length code of lengths: 16 is 3 to 6 repetitions of the previous length, 17
  /// and 18 are 3 to 10 and 11 to 138 zeros.
  private static func runs(_ lengths: [Int]) -> [(code: Int, extra: Int, bits: Int)] {
    var symbols: [(code: Int, extra: Int, bits: Int)] = []
    var start = 0
    while start < lengths.count {
      let length = lengths[start]
      let end = lengths[start...].firstIndex { $0 != length } ?? lengths.count
      var left = end - start
      if length != 0 {
        symbols.append((length, 0, 0))
        left -= 1
      }
      while left >= 3 {
        let most = length != 0 ? 6 : left > 10 ? 138 : 10
        let count = min(left, most)
        symbols.append(
          length != 0 ? (16, count - 3, 2) : left > 10 ? (18, count - 11, 7) : (17, count - 3, 3))
        left -= count
      }
      for _ in 0..<left { symbols.append((length, 0, 0)) }
      start = end
    }
    return symbols
  }
}
