import DiffFormat
import TestSupport

extension InvalidVector {
  /// Section 5: the head of a page; DENSE.
  static func pageHeads() throws -> [InvalidVector] {
    let rice = "06 02 00 08 02 47 10 01 07"
    let matrix = Bed(TestShape.matrix, Array(5..<15))
    let planes = "01 07 01 07 01 07 01 07"
    return try [
      page("coding-4", .gaps, at: 0, "position coding 4", "04" + rice),
      page("coding-15", .gaps, at: 0, "position coding 15", "0F" + rice),
      page("traversal-3", .matrix, at: 0, "traversal 3", "31" + rice),
      page(
        "positions-size-long", .gaps, at: 2, "a size in two bytes", "01 86 00 02 00 08 02 47 10"),
      page("positions-size-cut", .gaps, at: 4, "the page ends inside of a varint", "01 80 80 80"),
      page(
        "positions-run-past", .gaps, at: 2, "positions past the page",
        "01 09 02 00 08 02 47 10 01 07"),
      page(
        "positions-size-huge", .gaps, at: 11, "2^64 - 1 bytes of positions",
        "01 FF FF FF FF FF FF FF FF FF 01"),
      page("dense-with-gaps", .gaps, at: 2, "DENSE, five of 41 elements", "00 00 01 07"),
      page("dense-with-bytes", .planes, at: 2, "DENSE with a byte", "00 01 00" + planes),
      page("full-bitmap", .planes, at: 2, "BITMAP with count = span", "03 02 FF FF" + planes),
      page(
        "full-rice", .planes, at: 2, "SPLIT_RICE with count = span",
        "01 04 00 00 FF FF" + planes),
      page("full-bp128", .planes, at: 2, "BP128 with count = span", "02 01 00" + planes),
      page("dense-columns", matrix, at: 2, "DENSE by columns", "10 00 01 07"),
      page("dense-panels", matrix, at: 2, "DENSE by panels", "20 00 01 07"),
    ]
  }

  /// Section 5.1: BITMAP of span 10 with six ones.
  static func bitmaps() throws -> [InvalidVector] {
    try [
      page("bitmap-short", .bitmap, at: 2, "one byte for span 10", "03 01 5B 01 07"),
      page("bitmap-long", .bitmap, at: 2, "three bytes for span 10", "03 03 5B 02 00 01 07"),
      page("bitmap-five-ones", .bitmap, at: 2, "five ones of six", "03 02 53 02 01 07"),
      page("bitmap-seven-ones", .bitmap, at: 2, "seven ones of six", "03 02 5F 02 01 07"),
      page("bitmap-first", .bitmap, at: 2, "bit 0 is not set", "03 02 5E 02 01 07"),
      page("bitmap-last", .bitmap, at: 2, "bit 9 is not set", "03 02 5F 00 01 07"),
      page("bitmap-behind", .bitmap, at: 2, "bit 10 is set", "03 02 5B 04 01 07"),
      page("bitmap-behind-more", .bitmap, at: 2, "bits 9 and 15 are set", "03 02 1B 82 01 07"),
    ]
  }

  /// Section 5.4: traversals and grids, hot lines, numbers.
  static func traversals() throws -> [InvalidVector] {
    let raw: [UInt8] = [0, 1, 2, 3, 4, 5, 6]
    let two: [UInt8] = [1, 7]
    let vector = hex("06 02 00 08 02 47 10 01 07")
    let row = Bed(shape(100), [10, 13, 14, 27, 50])
    let column = Bed(shape(100, 1), [10, 13, 14, 27, 50])
    let oneRow = Bed(shape(2, 100), [10, 13, 14, 27, 50])
    let huge = Bed(shape(3, 1 << 31), [0, (1 << 31) + 5])
    let broad = Bed(shape(3, 65_537), [0, 65_540])
    let sparse = Bed(shape(9, 9), [0, 80])
    let pair = Handmade.rice([0, 9], least: 0)
    func hot(_ name: String, at: Int, _ note: String, _ text: String) throws -> InvalidVector {
      try page("hot-\(name)", .matrix, at: at, note, Handmade.page(0x21, hex(text), raw))
    }
    func numbers(_ name: String, _ note: String, _ numbers: [UInt64]) throws -> InvalidVector {
      let code = Handmade.rice(Handmade.gaps(numbers), least: 0)
      return try page("columns-\(name)", .matrix, at: 2, note, Handmade.page(0x11, code, raw))
    }
    return try [
      page("bitmap-columns", .matrix, at: 2, "BITMAP by columns", [0x13, 2, 0x2F, 4] + raw),
      page("bitmap-panels", .matrix, at: 2, "BITMAP by panels", [0x23, 2, 0x2F, 4] + raw),
      page("columns-of-a-vector", row, at: 2, "columns of a vector", [0x11] + vector),
      page("columns-of-one-row", oneRow, at: 2, "columns of one row", [0x11] + vector),
      page("columns-of-one-column", column, at: 2, "columns, C = 1", [0x11] + vector),
      page("panels-of-one-row", oneRow, at: 2, "panels of one row", [0x21] + vector),
      page("columns-2-32", huge, at: 2, "R * C = 2^32", Handmade.page(0x12, [0, 0], two)),
      page(
        "panels-65537", broad, at: 2, "65 537 columns in panels",
        Handmade.page(0x21, hex("01 03 00 00 01 00") + pair, two)),
      page(
        "hot-above-count", sparse, at: 2, "three hot rows, two changes",
        Handmade.page(0x21, hex("03 03 00 00 07 00") + pair, two)),
      hot("rows-above-r", at: 2, "four hot rows of three", "04 03 00 00 0F 00 00 00 3F"),
      hot("columns-above-c", at: 3, "six hot columns of five", "00 06 03 00 00 3F 00 00 3F"),
      hot("count-huge", at: 2, "2^64 - 1 hot rows", "FF FF FF FF FF FF FF FF FF 01 00"),
      hot("count-long", at: 3, "a number in two bytes", "81 00 03 00 00 01 00 00 00 3F"),
      hot("size-missing", at: 3, "no size of the list", "01"),
      hot("size-past", at: 4, "a list past the positions", "01 05 00 00 01 00"),
      hot("columns-missing", at: 7, "no list of hot columns", "01 03 00 00 01"),
      hot("row-past-r", at: 7, "hot row 3 of three", "01 03 00 00 08 00 00 00 3F"),
      hot("column-past-c", at: 8, "hot column 5 of five", "00 01 03 00 00 20 00 00 3F"),
      hot("lists-empty", at: 3, "no hot line", "00 00 00 00 3F"),
      hot("rice-least", at: 4, "a Rice code with least = 32", "01 03 20 00 01 00 00 00 3F"),
      hot("rice-ones", at: 6, "two ones for one hot row", "01 03 00 00 03 00 00 00 3F"),
      hot("no-numbers", at: 8, "nothing behind the lists", "01 03 00 00 01 00"),
      page(
        "panels-past-grid", .matrix, at: 2, "number 15 in a grid of 15",
        Handmade.page(0x21, hex("01 03 00 00 01 00 00 00 1F 80"), raw)),
      numbers("past-grid", "number 15 in a grid of 15", [3, 4, 5, 6, 9, 15]),
      numbers("first-offset", "column 0 of the first row, in front of it", [0, 4, 5, 6, 9, 12]),
      numbers("first-offset-late", "the first element is not changed", [4, 5, 6, 7, 9, 12]),
      numbers("last-offset", "the last element is not changed", [2, 3, 4, 6, 9, 12]),
      numbers("last-offset-late", "an element behind the last", [3, 4, 6, 8, 9, 12]),
    ]
  }
}
