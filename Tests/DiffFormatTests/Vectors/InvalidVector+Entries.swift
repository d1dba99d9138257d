import DiffFormat
import TensorCore
import TestSupport

extension InvalidVector {
  /// Sections 4.2 to 4.5: entries up to their page lists.
  static func entries() throws -> [InvalidVector] {
    let print = Fingerprint(high: 1, low: 2)
    func tensor(_ name: TensorName, _ operation: DiffOperation) -> Contents.Tensor {
      .init(
        DiffEntry(name, operation, .f32, shape(1, 1), result: print),
        Changes([0], [0, 0, 0, 1]))
    }
    let image = DiffImage(
      try Contents([tensor("a", .xor), tensor("b", .insert), tensor("c", .replace)]).encoded())
    let reshape = DiffImage(
      try Contents([
        .init(
          DiffEntry("w", .reshape(to: shape(2)), .u8, shape(1)),
          [.newRemainder: Changes([0], [1])])
      ]).encoded())
    func field(
      _ name: String, _ field: String, _ bytes: [UInt8], code: DiffError.Code = .malformed,
      of image: DiffImage? = nil, _ note: String
    ) -> InvalidVector {
      index(name, image ?? defaultImage, code: code, at: field, note) { $0[field] = bytes }
    }
    func name(_ suffix: String, _ bytes: [UInt8], _ note: String) -> InvalidVector {
      index("name-\(suffix)", image, at: "1.name.length", note) {
        $0["1.name"] = bytes
        $0["1.name.length"] = varint(UInt64(bytes.count))
      }
    }
    var defaultImage: DiffImage { image }
    func extent(
      _ name: String, _ extents: [UInt64], at place: UInt64, _ note: String
    ) -> InvalidVector {
      index("extent-\(name)", image, code: .limit, at: "0.rank", plus: place, note) {
        $0["0.rank"] = varint(UInt64(extents.count))
        $0["0.extent.0"] = extents.flatMap(varint)
        $0["0.extent.1"] = []
      }
    }
    let left = UInt64(image.bytes.count) - 48 - image.offset(of: "entries.count")
    return [
      field("entry-count", "entries.count", varint(left / 7 + 1), "more than bytes left / 7"),
      field("entry-count-huge", "entries.count", varint(.max), "2^64 - 1 entries"),
      index("entry-missing", image, at: nil, "the index ends before an operation") {
        $0.cut("2.operation")
      },
      field("operation-0", "0.operation", [0], "operation 0"),
      field("operation-7", "0.operation", [7], "operation 7"),
      field("type-0", "0.type", [0], "element type 0"),
      field("type-18", "0.type", [18], "element type 18"),
      field("type-41", "0.type", [41], "element type 41"),
      field("flags-reserved", "0.flags", [8 | 2], "flag bit 3"),
      field("flags-insert-base", "1.flags", [1], "an insert with a base"),
      field("flags-insert-old", "1.flags", [4], "an insert with old elements"),
      index("flags-delete-result", image, at: "1.flags", "a delete with a result") {
        $0["1.operation"] = [5]
      },
      index("flags-add-old", image, at: "0.flags", "an add with old elements") {
        $0["0.operation"] = [1]
        $0["0.flags"] = [4]
      },
      field("flags-reshape-old", "0.flags", [4], of: reshape, "a reshape with old elements"),
      index("fingerprint-runs-past", image, at: "2.result", "the index ends in a fingerprint") {
        $0.cut("2.result", after: 15)
      },
      field(
        "name-too-long", "1.name.length", varint(32_769), code: .limit, "a name of 32 769 bytes"),
      index("name-runs-past", image, at: "2.name", "a name of 32 768 bytes") {
        $0["2.name.length"] = varint(32_768)
      },
      name("empty", [], "an empty name"),
      name("equal", hex("61"), "two equal names"),
      name("descending", hex("60 7A"), "names that do not ascend"),
      index("name-not-utf8", image, at: "1.name", "a name that is not UTF-8") {
        $0["1.name"] = [0xFF]
      },
      index("name-prefix", image, at: "2.name.length", "a prefix of the name before") {
        $0["1.name.length"] = [2]
        $0["1.name"] = hex("63 63")
      },
      field("rank-33", "0.rank", varint(33), code: .limit, "rank 33"),
      field("rank-huge", "0.rank", varint(.max), code: .limit, "rank 2^64 - 1"),
      index("extent-runs-past", image, at: nil, "the index ends before an extent") {
        $0.cut("2.extent.1")
      },
      extent("2-60", [1 << 60], at: 1, "2^60 elements"),
      extent("product", [1 << 30, 1 << 30, 5], at: 6, "2^60 elements in two extents"),
      extent("overflow", [1 << 32, 1 << 32], at: 6, "a product of 2^64"),
      extent("zero-first", [0, 1 << 60], at: 2, "2^60 beside an extent of 0"),
      extent("zero-last", [1 << 59, 2, 0], at: 10, "2^60 before an extent of 0"),
      index("new-shape-equal", reshape, at: "0.new.rank", "a reshape to the same shape") {
        $0["0.new.extent.0"] = [1]
      },
      field("new-rank-33", "0.new.rank", varint(33), code: .limit, of: reshape, "new rank 33"),
      field(
        "new-extent-2-60", "0.new.extent.0", varint(1 << 60), code: .limit, of: reshape,
        "a new shape of 2^60 elements"),
    ]
  }

  /// Section 4.6.
  static func additions() throws -> [InvalidVector] {
    func image(_ type: ElementType) throws -> DiffImage {
      let entry = DiffEntry("w", .add(values: .f16, scale: 0), type, shape(9))
      return DiffImage(try Contents([.init(entry, Changes([4], [0, 60]))]).encoded())
    }
    let f32 = try image(.f32)
    func scale(_ name: String, _ image: DiffImage, _ stored: UInt64, _ note: String)
      -> InvalidVector
    {
      index("scale-\(name)", image, code: .limit, at: "0.scale", note) {
        $0["0.scale"] = varint(stored)
      }
    }
    let f64 = try image(.f64)
    return [
      index("add-to-integers", f32, at: "0.valueType", "an add to i32") { $0["0.type"] = [7] },
      index("add-to-f8", f32, at: "0.valueType", "an add to f8e4m3") { $0["0.type"] = [14] },
      index("value-type-f64", f32, at: "0.valueType", "values of f64") {
        $0["0.valueType"] = [13]
      },
      index("value-type-u8", f32, at: "0.valueType", "values of u8") { $0["0.valueType"] = [2] },
      index("value-type-0", f32, at: "0.valueType", "values of no type") {
        $0["0.valueType"] = [0]
      },
      scale("128", f32, 256, "scale 128"),
      scale("minus-127", f32, 253, "scale -127"),
      scale("f64-1024", f64, 2048, "scale 1024 of f64"),
      scale("f64-minus-1023", f64, 2045, "scale -1023 of f64"),
      scale("stored-2049", f64, 2049, "a stored scale of 2049"),
      scale("stored-2-64", f32, .max, "a stored scale of 2^64 - 1"),
    ]
  }
}
