import DiffFormat
import TestSupport

extension InvalidVector {
  private static let plane: [UInt8] = [1, 7]
  private static let ones = [0] + [UInt64](repeating: 1, count: 149)

  /// Section 5.2. The code begins at byte 2; in long pages the size takes one byte, too.
  static func riceCodes() throws -> [InvalidVector] {
    func code(
      _ name: String, _ bed: Bed = .gaps, at: Int, _ note: String, _ code: [UInt8]
    ) throws -> InvalidVector {
      try page("rice-\(name)", bed, at: at, note, Handmade.page(1, code, plane))
    }
    func gaps(_ name: String, _ gaps: [UInt64], least: Int, _ note: String) throws -> InvalidVector
    {
      try code(name, at: 2, note, Handmade.rice(gaps, least: least))
    }
    func blocks(least: Int, _ bits: Int, _ steps: [Int]) -> [UInt8] {
      Handmade.rice(ones, least: least, bits: bits, steps: steps)
    }
    var padded = blocks(least: 0, 1, [0, 1])
    padded[2] |= 0x80
    var both = blocks(least: 0, 2, [0, 1])
    both[2] |= 0x80
    return try [
      code("empty", at: 2, "no byte", []),
      code("one-byte", at: 2, "one byte", [2]),
      code("least-32", at: 2, "least = 32", hex("20 00 08 02 47 10")),
      code("bits-6", at: 2, "bits = 6", hex("02 06 08 02 47 10")),
      code("least-32-padding", at: 2, "least = 32, seen before the padding", hex("20 01 80")),
      code("bits-6-padding", at: 2, "bits = 6, seen before the padding", hex("00 06 80")),
      code("least-32-cut", at: 2, "least = 32, seen before the end", hex("20 01")),
      code("bits-not-least", at: 2, "bits = 1, all steps 0", hex("02 01 00 08 02 47 10")),
      code("least-not-least", at: 2, "bits = 1, the only step 1", hex("01 01 01 08 02 47 10")),
      code("bits-2-for-1", .blocks, at: 2, "two bits for steps of 1", blocks(least: 0, 2, [0, 1])),
      code("no-step-0", .blocks, at: 2, "steps 1 and 2", blocks(least: 0, 2, [1, 2])),
      code("k-32", .blocks, at: 3, "k = 32 in the second block", blocks(least: 31, 1, [0, 1])),
      code("parameters-past", .blocks, at: 4, "one byte for ten bits", hex("00 05 00")),
      code("parameters-padding", .blocks, at: 4, "bits behind the parameters", padded),
      code("padding-first", .blocks, at: 4, "padding is seen before bits", both),
      code("low-bits-past", at: 4, "one byte for ten bits", hex("02 00 08")),
      code("low-bits-padding", at: 5, "bits behind the low bits", hex("02 00 08 82 47 10")),
      code("no-bitmap", at: 6, "no quotients", hex("02 00 08 02")),
      code("four-ones", at: 6, "four ones of five", hex("02 00 08 02 47")),
      code("six-ones", at: 6, "six ones of five", hex("02 00 08 02 47 30")),
      code("byte-behind", at: 6, "a byte behind the last one", hex("02 00 08 02 47 10 00")),
      code(
        "bitmap-before-padding", at: 6, "the bitmap is seen before padding of low bits",
        hex("02 00 08 82 47 30")),
      gaps("first-offset", [1, 1, 0, 12, 22], least: 2, "the first offset is 1"),
      gaps("last-offset", [0, 2, 0, 12, 21], least: 2, "the last offset is 39"),
      gaps("last-offset-late", [0, 2, 0, 12, 23], least: 2, "the last offset is 41"),
      gaps("2-32", [0, 2, 0, 12, (1 << 32) - 18], least: 31, "the last offset is 2^32"),
      gaps(
        "wraps", [0, 2, 0, 12, (1 << 32) + 22], least: 31,
        "the last offset is 2^32 + 40, right modulo 2^32"),
      gaps(
        "wraps-twice", [0, 2, (1 << 32) - 1, 12, (1 << 32) + 23], least: 31,
        "offsets that wrap twice"),
    ]
  }

  /// Section 5.3.
  static func packedCodes() throws -> [InvalidVector] {
    func code(
      _ name: String, _ bed: Bed = .gaps, at: Int, _ note: String, _ code: [UInt8]
    ) throws -> InvalidVector {
      try page("bp128-\(name)", bed, at: at, note, Handmade.page(2, code, plane))
    }
    func gaps(_ name: String, _ gaps: [UInt64], _ width: Int, _ note: String) throws
      -> InvalidVector
    {
      try code(name, at: 2, note, Handmade.packed(gaps, widths: [width]))
    }
    let two = Handmade.packed(ones, widths: [1, 1])
    return try [
      code("empty", at: 2, "no byte", []),
      code("widths-cut", .blocks, at: 2, "one byte for two blocks", [1]),
      code("width-33", at: 2, "width 33", hex("21 40 00 66 01")),
      code("width-255", at: 2, "width 255", hex("FF 40 00 66 01")),
      code("second-width-33", .blocks, at: 3, "width 33", [1, 33] + two[2...]),
      code("block-past", at: 2, "three bytes for 25 bits", hex("05 40 00 66")),
      code("second-block-past", .blocks, at: 3, "two bytes for 22 bits", two.dropLast()),
      code(
        "second-width-wide", .blocks, at: 3, "two bits for gaps of 1",
        Handmade.packed(ones, widths: [1, 2])),
      code("padding", at: 6, "bits behind the block", hex("05 40 00 66 03")),
      code("padding-first", at: 6, "padding is seen before a wide width", hex("06 80 00 30 D6")),
      code("byte-behind", at: 7, "a byte behind the last block", hex("05 40 00 66 01 00")),
      gaps("width-wide", [0, 2, 0, 12, 22], 6, "six bits for gaps below 32"),
      gaps("first-offset", [1, 1, 0, 12, 22], 5, "the first offset is 1"),
      gaps("last-offset", [0, 2, 0, 12, 21], 5, "the last offset is 39"),
      gaps("last-offset-late", [0, 2, 0, 12, 23], 5, "the last offset is 41"),
      gaps("2-32", [0, 2, 0, 12, (1 << 32) - 18], 32, "the last offset is 2^32"),
      gaps(
        "wraps", [0, 2, 0, (1 << 32) - 100, 134], 32,
        "the last offset is 2^32 + 40, right modulo 2^32"),
    ]
  }
}
