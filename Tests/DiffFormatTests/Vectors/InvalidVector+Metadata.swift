import DiffFormat
import TestSupport

extension InvalidVector {
  /// Section 4, 4.1 and 4.7: counts, varints, texts, metadata and extensions.
  static func metadata() throws -> [InvalidVector] {
    let xor = DiffEntry("w", .xor, .u8, shape(9))
    let image = DiffImage(
      try Contents(metadata: ["a": "1", "b": "2"], [.init(xor, Changes([4], [1]))]).encoded())
    func key(
      _ name: String, _ bytes: [UInt8], plus: UInt64 = 0, _ note: String
    ) -> InvalidVector {
      index("key-\(name)", image, at: "metadata.1.key.length", plus: plus, note) {
        $0["metadata.1.key.length"] = varint(UInt64(bytes.count))
        $0["metadata.1.key"] = bytes
      }
    }
    func value(_ name: String, _ text: String, _ note: String) -> InvalidVector {
      index("text-\(name)", image, at: "metadata.1.value", note) {
        $0["metadata.1.value"] = hex(text)
        $0["metadata.1.value.length"] = varint(UInt64(hex(text).count))
      }
    }
    func number(
      _ name: String, _ bytes: String, plus: UInt64, _ note: String
    ) -> InvalidVector {
      index("varint-\(name)", image, at: "entries.count", plus: plus, note) {
        $0["entries.count"] = hex(bytes)
      }
    }
    func extensions(
      _ name: String, _ bytes: String, plus: UInt64, _ note: String
    ) -> InvalidVector {
      index("extension-\(name)", image, at: "extensions.count", plus: plus, note) {
        $0["extensions.count"] = hex(bytes)
      }
    }
    let left = UInt64(image.fields.reduce(0) { $0 + $1.bytes.count })
    return [
      number("two-bytes-for-one", "81 00", plus: 1, "1 in two bytes"),
      number("zero-in-two-bytes", "80 00", plus: 1, "0 in two bytes"),
      number("65-bits", "FF FF FF FF FF FF FF FF FF 02", plus: 9, "bit 64 is set"),
      number("eleven-bytes", "FF FF FF FF FF FF FF FF FF 81 00", plus: 9, "more than ten bytes"),
      index("varint-runs-past", image, at: nil, "the index ends inside a varint") {
        $0["entries.count"] = [0x80]
        $0.cut("entries.count", after: 1)
      },
      index("is-empty", image, at: nil, "an index without a byte") { $0.cut("metadata.count") },
      index("metadata-count", image, at: "metadata.count", "more pairs than bytes left / 3") {
        $0["metadata.count"] = varint(left / 3 + 1)
      },
      index("metadata-count-huge", image, at: "metadata.count", "2^64 - 1 pairs") {
        $0["metadata.count"] = varint(.max)
      },
      index("key-too-long", image, code: .limit, at: "metadata.1.key.length", "a key of 256 bytes")
      {
        $0["metadata.1.key.length"] = varint(256)
        $0["metadata.1.key"] = [UInt8](repeating: 0x62, count: 256)
      },
      index(
        "value-too-long", image, code: .limit, at: "metadata.1.value.length",
        "a value of 2^24 + 1 bytes"
      ) { $0["metadata.1.value.length"] = varint((1 << 24) + 1) },
      index("value-runs-past", image, at: "metadata.1.value", "a value of 2^24 bytes") {
        $0["metadata.1.value.length"] = varint(1 << 24)
      },
      key("empty", [], "an empty key"),
      key("space", hex("62 20"), "a key with a space"),
      key("del", hex("62 7F"), "a key with DEL"),
      key("umlaut", hex("62 C3 A4"), "a key that is not ASCII"),
      key("not-utf8", hex("62 80"), plus: 1, "a key that is not UTF-8"),
      key("equal", hex("61"), "two equal keys"),
      key("descending", hex("41"), "keys that do not ascend"),
      value("lone-continuation", "80", "a continuation byte alone"),
      value("overlong", "C0 80", "an overlong form of NUL"),
      value("overlong-3", "E0 9F BF", "an overlong form of U+07FF"),
      value("surrogate", "ED A0 80", "a surrogate"),
      value("above-10ffff", "F4 90 80 80", "above U+10FFFF"),
      value("cut", "E2 82", "a sequence cut off"),
      extensions("count", "04", plus: 0, "more extensions than bytes left / 2"),
      extensions("equal", "02 05 00 05 00", plus: 3, "equal identifiers"),
      extensions("descending", "02 05 01 FF 04 00", plus: 4, "identifiers that do not ascend"),
      extensions("descending-cut", "02 05 00 05 09", plus: 3, "the order is seen before the end"),
      extensions("runs-past", "01 05 03 00 00", plus: 3, "an extension past the index"),
      extensions("size-huge", "01 05 FF FF FF FF FF FF FF FF FF 01", plus: 12, "2^64 - 1 bytes"),
      extensions("bytes-behind", "01 05 01 FF 00", plus: 4, "a byte behind the last extension"),
    ]
  }
}
