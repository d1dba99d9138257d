import DiffFormat
import TestSupport

extension ValidVector {
  /// Choices that a writer may make and this one never does, and additions of later versions.
  static func choices() throws -> [ValidVector] {
    let plane: [UInt8] = [1, 7]
    let gaps = Handmade.gaps([0, 3, 4, 17, 40])
    let ones = [UInt64](repeating: 1, count: 149)
    let steps = Handmade.rice([0] + ones, least: 1, bits: 5, steps: [0, 30])
    let columns = Handmade.packed([3, 0, 0, 0, 2, 2], widths: [2])
    let raw: [UInt8] = [0, 1, 2, 3, 4, 5, 6]
    // Hot row 0, hot column 4: (0, 4) is number 0, the rest of row 0 begins at 1, rows 1 and 2
    // of the cold columns at 7: 0, 2, 3, 4, 8, 12.
    let panels =
      hex("01 03 00 00 01 01 04 02 00 00 02") + Handmade.packed([0, 1, 0, 0, 3, 3], widths: [2])
    let wide = Bed(shape(1 << 33), [3, 3 + (1 << 32) - 1])
    return try [
      ValidVector(
        "rice-no-low-bits",
        handmade: Bed.gaps.file(Handmade.page(1, Handmade.rice(gaps, least: 0), plane))),
      ValidVector(
        "rice-31-low-bits",
        handmade: Bed.gaps.file(Handmade.page(1, Handmade.rice(gaps, least: 31), plane))),
      ValidVector("rice-steps", handmade: Bed.blocks.file(Handmade.page(1, steps, plane))),
      ValidVector(
        "rice-last-offset",
        handmade: wide.file(
          Handmade.page(1, Handmade.rice([0, (1 << 32) - 2], least: 31), plane))),
      ValidVector(
        "bp128-32-bits",
        handmade: wide.file(
          Handmade.page(2, Handmade.packed([0, (1 << 32) - 2], widths: [32]), plane))),
      ValidVector(
        "bp128-two-blocks",
        handmade: Bed.blocks.file(
          Handmade.page(2, Handmade.packed([0] + ones, widths: [1, 1]), plane))),
      ValidVector(
        "bp128-columns-small", handmade: Bed.matrix.file(Handmade.page(0x12, columns, raw))),
      ValidVector(
        "bp128-panels-small", handmade: Bed.matrix.file(Handmade.page(0x22, panels, raw))),
      ValidVector(
        "hot-lines-without-changes",
        handmade: Bed.matrix.file(
          // All three rows hot, no column: panel 1 holds the whole grid, row by row.
          Handmade.page(
            0x21, hex("03 03 00 00 07 00") + Handmade.rice([1, 0, 0, 0, 1, 4], least: 0), raw))),
      ValidVector(
        "bitmap-though-larger",
        handmade: Bed.gaps.file(Handmade.page(3, hex("19 00 02 00 00 01"), plane))),
      ValidVector("raw-though-constant", handmade: Bed.gaps.file(rice + hex("00 07 07 07 07 07"))),
      ValidVector(
        "deflate-stored", handmade: Bed.gaps.file(rice + hex("02 0A 01 05 00 FA FF 01 02 03 04 05"))
      ),
      ValidVector(
        "deflate-two-blocks",
        handmade: Bed.gaps.file(
          rice + hex("02 0F 00 03 00 FC FF 01 02 03 01 02 00 FD FF 04 05"))),
      ValidVector("deflate-fixed", handmade: Bed.gaps.file(rice + fixed(unused: 0))),
      ValidVector("deflate-unused-bits", handmade: Bed.gaps.file(rice + fixed(unused: 63))),
      future("minor-version", { $0.header[10] = 9 }),
      future("compatible-features", { $0.header.replaceSubrange(16..<20, with: hex("010000C0")) }),
      future("extensions") {
        $0["extensions.count"] = hex("03 00 00 05 03 61 62 63") + varint(1 << 63) + hex("01 FF")
      },
      future("checkpoints") {
        $0["extensions.count"] = hex("01 01 20") + (0..<32).map { 0xA0 ^ $0 }
      },
      future("checkpoints-of-another-size") {
        $0["extensions.count"] = hex("01 01 21") + (0..<33).map { 0xA0 ^ $0 }
      },
      // The attribute n of the root: absent, then a list of two texts.
      future("attributes") {
        $0["extensions.count"] = hex("01 02 0A 01 00 01 6E 00 03 02 01 61 00")
      },
    ]
  }

  private static let rice = hex("01 06 02 00 08 02 47 10")

  /// The bytes 1 … 5 as literals of the fixed code of deflate.
  private static func fixed(unused: UInt64) -> [UInt8] {
    var writer = BitWriter()
    writer.append(0b011, bits: 3)
    for literal in 1...5 as ClosedRange<UInt64> {
      let code = UInt8(0x30 + literal)
      for bit in 0..<8 { writer.append(UInt64(code >> UInt8(7 - bit) & 1), bits: 1) }
    }
    writer.append(0, bits: 7)
    writer.append(unused, bits: 6)
    return [2, UInt8(writer.bytes.count)] + writer.bytes
  }

  private static func future(
    _ name: String, _ edit: (inout DiffImage) -> Void
  ) throws -> ValidVector {
    var image = try Bed.matrix.image()
    edit(&image)
    return ValidVector(name, handmade: image.bytes)
  }
}
