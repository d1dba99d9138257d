import DiffFormat
import TensorCore
import TestSupport

extension ValidVector {
  /// Each element type, and extreme shapes.
  static func tensors() throws -> [ValidVector] {
    let types = ElementType.wholeBytes.map { type in
      exact(
        "type/\(type.rawValue + 100)", .xor, type, shape(3),
        Array(repeating: 0x55, count: 3 * type.width),
        (0..<3 * type.width).map { $0 < type.width ? 0x55 : UInt8($0 * 9) })
    }
    let rank32 = [UInt64](repeating: 1, count: 31) + [2]
    guard let deep = Shape(rank32) else { preconditionFailure("rank 32") }
    let f32: [UInt8] = [0, 0, 128, 63]
    return try [
      ValidVector("every-type", Contents(types)),
      ValidVector(
        "shapes",
        Contents([
          .init(DiffEntry("deep", .replace, .u8, deep), Changes([1], [9])),
          .init(DiffEntry("empty", .insert, .f32, shape(0, 5))),
          .init(DiffEntry("empty row", .xor, .f32, shape(5, 0))),
          .init(DiffEntry("gone", .delete, .i64, shape(0))),
          .init(
            DiffEntry("huge", .replace, .u8, shape(1 << 30, (1 << 30) - 1)),
            Changes([(1 << 60) - (1 << 30) - 1], [5])),
          .init(DiffEntry("one", .insert, .f32, shape(1)), Changes([0], f32)),
          .init(DiffEntry("one of many", .xor, .f32, shape(7, 7)), Changes([48], f32)),
          .init(DiffEntry("scalar", .insert, .f32, .scalar), Changes([0], f32)),
          .init(DiffEntry("scalar gone", .delete, .f32, .scalar), Changes([0], f32)),
          .init(DiffEntry("scalar xor", .xor, .f32, .scalar), Changes([0], f32)),
          .init(DiffEntry("untouched", .xor, .f32, shape(4, 4))),
          .init(
            DiffEntry("zero and huge", .xor, .u8, shape(0, 1 << 59)), Changes()),
        ])),
    ]
  }

  /// Unusual but valid names and metadata.
  static func texts() throws -> [ValidVector] {
    let names: [TensorName] = [
      " ", ".", "..", "../../etc/passwd", "/", "A", "a b c", "a.b", "a/b", "a\\b", "e\u{301}",
      "\u{E9}", "\u{1F9EA}", "\u{202E}right to left", "\u{0}", "\u{1}\u{1B}[31mred", "\r\n",
      "\u{7F}",
      "\u{85}", "\u{FEFF}", "\u{10FFFF}", "\(String(repeating: "long/", count: 60))", "a",
    ].sorted()
    let metadata = [
      "task": "sst2", "empty": "", "!": "first key", "~": "last key",
      "unicode": "Größe \u{1F9EA} e\u{301} \u{E9} \u{202E}", "controls": "\u{0}\u{1B}[0m\r\n\t",
      "json": #"{"a": ["\"", 1]}"#, String(repeating: "k", count: 255): "the longest key",
      "A": "upper", "a": "lower", "long": String(repeating: "0123456789", count: 20),
    ]
    return try [
      ValidVector(
        "names",
        Contents(names.map { .init(DiffEntry($0, .replace, .u8, .scalar), Changes([0], [1])) })),
      ValidVector("metadata", Contents(metadata: metadata, [])),
    ]
  }
}
