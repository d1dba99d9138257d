import DiffFormat
import TensorCore
import TestSupport

extension InvalidVector {
  /// Section 4.8.
  static func pageLists() throws -> [InvalidVector] {
    func image(
      _ operation: DiffOperation, _ shape: Shape, _ positions: [UInt64], _ type: ElementType = .u8
    ) throws -> DiffImage {
      let values = [UInt8](repeating: 1, count: positions.count * type.width)
      return DiffImage(
        try Contents([.init(DiffEntry("w", operation, type, shape), Changes(positions, values))])
          .encoded())
    }
    let sparse = try image(.xor, shape(100), [10, 20, 30])
    let wide = try image(.xor, shape(1 << 34), [10, 20, 1 << 33])
    let dense = try image(.insert, shape(32_769), Array(0..<32_769))
    let word = try image(.xor, shape(100), [10], .f64)
    func row(
      _ name: String, _ image: DiffImage, code: DiffError.Code = .malformed, page: Int = 0,
      at field: String = "skip", _ changes: [String: UInt64], _ note: String
    ) -> InvalidVector {
      index("page-\(name)", image, code: code, at: "0.changes.\(page).\(field)", note) {
        for (field, number) in changes { $0["0.changes.\(page).\(field)"] = varint(number) }
      }
    }
    let left = UInt64(sparse.bytes.count) - 48 - sparse.offset(of: "0.changes.count")
    return try [
      index("page-count", sparse, at: "0.changes.count", "more pages than bytes left / 12") {
        $0["0.changes.count"] = varint(left / 12 + 1)
      },
      index("page-count-huge", sparse, at: "0.changes.count", "2^64 - 1 pages") {
        $0["0.changes.count"] = varint(.max)
      },
      index("page-runs-past", sparse, at: "0.changes.0.checksum", "ends in a checksum") {
        $0.cut("0.changes.0.checksum", after: 7)
      },
      row("span-limit", sparse, code: .limit, at: "span", ["span": (1 << 32) + 1], "span 2^32 + 1"),
      row("count-limit", sparse, code: .limit, at: "count", ["count": 32_769], "count 32 769"),
      row("size-limit", sparse, code: .limit, at: "size", ["size": (1 << 20) + 1], "size 2^20 + 1"),
      row("size-huge", sparse, code: .limit, at: "size", ["size": .max], "size 2^64 - 1"),
      row(
        "span-before-count", sparse, code: .limit, at: "span",
        ["skip": 1000, "span": 1 << 33, "count": .max], "the span is read first"),
      row("count-0", sparse, ["count": 0], "a page without changes"),
      row("span-0", sparse, ["span": 0], "a page without elements"),
      row("count-above-span", sparse, ["count": 22], "more changes than elements"),
      row("one-change-span-2", sparse, ["count": 1], "one change in 21 elements"),
      row("past-the-end", sparse, ["skip": 80], "a page past the tensor"),
      row("skip-past-the-end", sparse, ["skip": 101], "a skip past the tensor"),
      row("skip-overflow", sparse, ["skip": .max - 10], "a start that overflows 64 bits"),
      row("second-past-the-end", wide, page: 1, ["skip": 1 << 34], "past the tensor"),
      row("size-below-least", sparse, ["size": 3], "3 bytes for values of one"),
      row("size-below-least-wide", word, ["size": 17], "17 bytes for values of eight"),
      index("page-dense-skip", dense, at: "0.changes.1.skip", "a dense stream that skips") {
        $0["0.extent.0"] = varint(32_770)
        $0["0.changes.1.skip"] = [1]
      },
      index("page-not-full", dense, at: "0.changes.1.skip", "32 767 changes, then a page") {
        $0["0.changes.0.span"] = varint(32_767)
        $0["0.changes.0.count"] = varint(32_767)
      },
      row("dense-gap", dense, ["count": 32_767], "a dense stream with a gap"),
      index(
        "page-not-full-near", wide, at: "0.changes.1.skip",
        "2^32 - 1 elements from the start of the page before"
      ) { $0["0.changes.1.skip"] = varint((1 << 32) - 1 - 11) },
      index("dense-too-short", dense, at: "0.changes.count", "an element is not covered") {
        $0["0.extent.0"] = varint(32_770)
      },
      index(
        "dense-without-pages", image(.insert, shape(0), []), at: "0.changes.count",
        "no pages, one element"
      ) { $0["0.extent.0"] = [1] },
      index("page-in-an-empty-tensor", sparse, at: "0.changes.0.skip", "no element to change") {
        $0["0.extent.0"] = [0]
      },
      index(
        "remainder-too-short", remainder(), at: "0.newRemainder.count",
        "the new remainder has two elements"
      ) { $0["0.new.extent.0"] = [3] },
      index(
        "change-outside-of-the-box", remainder(), at: "0.changes.0.skip",
        "the box is empty"
      ) { $0["0.extent.0"] = [0] },
    ]
  }

  /// Of four elements one is changed; one is new.
  private static func remainder() throws -> DiffImage {
    DiffImage(
      try Contents([
        .init(
          DiffEntry("w", .reshape(to: shape(2)), .u8, shape(1)),
          [.changes: Changes([0], [1]), .newRemainder: Changes([0], [1])])
      ]).encoded())
  }
}
