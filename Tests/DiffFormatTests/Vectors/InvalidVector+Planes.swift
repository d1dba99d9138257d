import DiffFormat
import TestSupport

extension InvalidVector {
  /// Section 5.5: planes of five bytes, the first of them at byte 8 of the page.
  static func planes() throws -> [InvalidVector] {
    let rice = hex("01 06 02 00 08 02 47 10")
    let wide = Bed(Bed.gaps.shape, Bed.gaps.positions, .u16)
    func plane(
      _ name: String, at: Int = 8, _ note: String, _ planes: String
    ) throws -> InvalidVector {
      try page("plane-\(name)", .gaps, at: at, note, rice + hex(planes))
    }
    func deflate(_ name: String, _ note: String, _ stream: String) throws -> InvalidVector {
      let bytes = hex(stream)
      return try page(
        "inflate-\(name)", .gaps, at: 8, note, rice + [2] + varint(UInt64(bytes.count)) + bytes)
    }
    func second(
      _ name: String, at: Int, _ note: String, _ planes: String
    ) throws -> InvalidVector {
      try page("second-plane-\(name)", wide, at: at, note, rice + hex(planes))
    }
    return try [
      plane("missing", "no plane", ""),
      plane("coding-3", "plane coding 3", "03 07"),
      plane("coding-255", "plane coding 255", "FF 07"),
      plane("raw-short", "four raw bytes of five", "00 01 02 03 04"),
      plane("constant-short", "a constant plane without its byte", "01"),
      plane("deflate-size-missing", "a deflated plane without its size", "02"),
      plane(
        "deflate-past", "a deflated plane past the page", "02 0B 01 05 00 FA FF 01 02 03 04 05"),
      plane("deflate-size-huge", "2^64 - 1 bytes", "02 FF FF FF FF FF FF FF FF FF 01"),
      plane("bytes-behind", at: 10, "a byte behind the last plane", "01 07 00"),
      plane("raw-long", at: 14, "six raw bytes for five", "00 01 02 03 04 05 06"),
      deflate("empty", "a stream of no byte", ""),
      deflate("short", "four bytes for five", "01 04 00 FB FF 01 02 03 04"),
      deflate("long", "six bytes for five", "01 06 00 F9 FF 01 02 03 04 05 06"),
      deflate("none", "a final block of no byte", "01 00 00 FF FF"),
      deflate("not-final", "no final block", "00 05 00 FA FF 01 02 03 04 05"),
      deflate("byte-behind", "a byte behind the stream", "01 05 00 FA FF 01 02 03 04 05 00"),
      deflate("zlib-header", "a zlib header", "78 01 01 05 00 FA FF 01 02 03 04 05"),
      deflate("block-type-3", "a block of type 3", "07 05 00 FA FF 01 02 03 04 05"),
      deflate("stored-length", "length and complement differ", "01 05 00 FA FE 01 02 03 04 05"),
      deflate("cut", "the stored block is cut off", "01 05 00 FA FF 01 02 03"),
      // A literal, then a match of length 4 at distance 2: before the beginning.
      deflate("distance", "a match from before the beginning", "63 04 41 00"),
      deflate(
        "long-in-second-block", "five bytes, then one more",
        "00 05 00 FA FF 01 02 03 04 05 01 01 00 FE FF 06"),
      second("missing", at: 10, "one plane of two", "01 07"),
      second("coding", at: 10, "plane coding 9", "01 07 09 07"),
      second("raw-short", at: 14, "four raw bytes of five", "00 01 02 03 04 05 00 01 02 03 04"),
      page(
        "positions-before-values", .gaps, at: 2, "both are wrong: positions come first",
        "01 06 20 00 08 02 47 10 09"),
    ]
  }

  /// Findings of fuzzing.
  static func findings() throws -> [InvalidVector] {
    []
  }
}
