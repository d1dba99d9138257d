import DiffFormat
import TensorCore
import TestSupport

extension InvalidVector {
  /// Section 5.5: streams that are not deflate by the rules of that section. Planes of five bytes,
  /// the first of them at byte 8 of the page.
  static func deflateStreams() throws -> [InvalidVector] {
    try codeLengths() + codes() + [
      // Length 3 as the symbol 257, its distance as the symbol 30, which is undefined.
      fixed("distance-30", "distance symbol 30 of the fixed code") {
        $0.appendFixed(0x37, bits: 8)
        $0.appendFixed(0x37, bits: 8)
        $0.appendFixed(0x01, bits: 7)
        $0.appendFixed(30, bits: 5)
      },
      fixed("symbol-286", "literal/length symbol 286 of the fixed code") {
        $0.appendFixed(0x37, bits: 8)
        $0.appendFixed(0xC6, bits: 8)
        $0.appendFixed(0, bits: 5)
      },
    ]
  }

  /// The coding of code lengths.
  private static func codeLengths() throws -> [InvalidVector] {
    let literals = lengths([7: 1, 256: 1], of: 257)
    let zeros = [DeflateBlock.Step](repeating: .length(0), count: 7)
    return try [
      sevens(
        "31-distances", "31 distance codes", literals,
        lengths([0: 1, 29: 1], of: 31)),
      sevens(
        "32-distances", "32 distance codes", literals,
        lengths([0: 1, 29: 1], of: 32)),
      sevens("287-literals", "287 literal/length codes", lengths([7: 1, 256: 1], of: 287), [0]),
      sevens("288-literals", "288 literal/length codes", lengths([7: 1, 256: 1], of: 288), [0]),
      block("no-end-code", "no code for the end of a block") {
        var block = DeflateBlock(literals: lengths([7: 1, 8: 1], of: 257), distances: [0])
        block.append(7, 8, 7, 8, 7)
        return block
      },
      block("repeat-first", "a length that repeats none") {
        DeflateBlock(
          literals: literals, distances: [0],
          steps: [.again(3), .zeros(138), .zeros(115), .length(1), .length(0)])
      },
      block("repeat-past", "a run of zeros past the last code") {
        var block = DeflateBlock(
          literals: literals, distances: [0],
          steps: zeros + [.length(1), .zeros(138), .zeros(110), .length(1), .zeros(11)])
        block.append(7, 7, 7, 7, 7, 256)
        return block
      },
      block("lengths-incomplete", "a code of lengths that is not complete") {
        steps(DeflateBlock.lengths([0: 2, 1: 2, 18: 2], of: 19))
      },
      block("lengths-over", "a code of lengths with too many codes") {
        steps(DeflateBlock.lengths([0: 1, 1: 1, 18: 1], of: 19))
      },
    ]
  }

  /// The codes of literals, lengths and distances, and the use of missing codes.
  private static func codes() throws -> [InvalidVector] {
    let match = lengths([7: 1, 256: 2, 258: 2], of: 259)
    return try [
      sevens(
        "literals-incomplete", "a literal/length code that is not complete",
        lengths([7: 2, 8: 2, 256: 2], of: 257), [0]),
      sevens(
        "literals-over", "too many literal/length codes", lengths([7: 1, 8: 1, 256: 1], of: 257),
        [0]),
      sevens("distances-incomplete", "a distance code that is not complete", match, [2, 2]),
      sevens("distances-over", "too many distance codes", match, [1, 1, 1]),
      sevens("one-distance-long", "one distance code of two bits", match, [2]),
      block("one-distance-unused", "the distance that the only code does not stand for") {
        var block = DeflateBlock(literals: match, distances: [1])
        block.append(7, 258)
        block.append(bits: 1, count: 1)
        block.append(256)
        return block
      },
      block("no-distance-used", "a match without a distance code") {
        var block = DeflateBlock(literals: match, distances: [0])
        block.append(7, 258)
        block.append(bits: 0, count: 1)
        block.append(256)
        return block
      },
      block("end-code-unused", "the symbol that the only code does not stand for") {
        var block = DeflateBlock(
          literals: lengths([256: 1], of: 257), distances: [0], isFinal: false)
        block.append(bits: 1, count: 1)
        block.append(bits: 0b001, count: 3)
        return block
      },
    ]
  }

  private static func lengths(_ listed: [Int: Int], of count: Int) -> [Int] {
    DeflateBlock.lengths(listed, of: count)
  }

  /// The literal 7 five times, in codes of these lengths.
  private static func sevens(
    _ name: String, _ note: String, _ literals: [Int], _ distances: [Int]
  ) throws -> InvalidVector {
    try block(name, note) {
      var block = DeflateBlock(literals: literals, distances: distances)
      block.append(7, 7, 7, 7, 7, 256)
      return block
    }
  }

  /// The same, its lengths in a code of these lengths.
  private static func steps(_ stepLengths: [Int]) -> DeflateBlock {
    var block = DeflateBlock(
      literals: lengths([7: 1, 256: 1], of: 257), distances: [0], stepLengths: stepLengths)
    block.append(7, 7, 7, 7, 7, 256)
    return block
  }

  private static func block(
    _ name: String, _ note: String, _ block: () -> DeflateBlock
  ) throws -> InvalidVector {
    try stream(name, note, block().bytes)
  }

  /// A literal and what `body` adds, in the fixed code.
  private static func fixed(
    _ name: String, _ note: String, _ body: (inout BitWriter) -> Void
  ) throws -> InvalidVector {
    var writer = BitWriter()
    writer.append(0b011, bits: 3)
    body(&writer)
    writer.append(0, bits: 7)
    return try stream(name, note, writer.bytes)
  }

  private static func stream(
    _ name: String, _ note: String, _ bytes: [UInt8]
  ) throws -> InvalidVector {
    try page(
      "inflate-\(name)", .gaps, at: 8, note,
      hex("01 06 02 00 08 02 47 10 02") + varint(UInt64(bytes.count)) + bytes)
  }
}

extension BitWriter {
  /// Appends a code, its first bit first.
  fileprivate mutating func appendFixed(_ code: UInt64, bits: Int) {
    for bit in (0..<UInt64(bits)).reversed() { append(code >> bit & 1, bits: 1) }
  }
}
