import DiffFormat
import TensorCore
import TestSupport

extension InvalidVector {
  /// Section 3.4: the checks of opening before the index.
  static func opening() throws -> [InvalidVector] {
    let image = try Bed.gaps.image()
    let file = image.bytes
    let size = UInt64(file.count)
    func cut(_ name: String, _ count: Int, _ note: String) -> InvalidVector {
      InvalidVector(name, Array(file[..<count]), .truncated, at: UInt64(count), note)
    }
    func edited(
      _ name: String, _ code: DiffError.Code, at offset: UInt64, _ note: String,
      _ edit: (inout DiffImage) -> Void
    ) -> InvalidVector {
      var image = image
      edit(&image)
      return InvalidVector(name, image.bytes, code, at: offset, note)
    }
    func flipped(_ name: String, at byte: UInt64, _ offset: UInt64, _ note: String) -> InvalidVector
    {
      var file = file
      file[Int(byte)] ^= 0x10
      return InvalidVector(name, file, .checksum, at: offset, note)
    }
    return try textMode(file) + [
      cut("empty-file", 0, "an empty file"),
      cut("signature-cut", 4, "a proper prefix of the signature"),
      cut("signature-alone", 8, "ends behind the signature"),
      cut("header-cut", 31, "ends inside the header"),
      cut("header-alone", 32, "ends behind the header"),
      cut("ends-before-footer", 79, "too short for header and footer"),
      cut("footer-cut", Int(size) - 1, "without the last byte"),
      InvalidVector(
        "bytes-behind-footer", file + [0], .truncated, at: size + 1,
        "a byte behind the footer: no end signature there"),
      InvalidVector(
        "not-a-diff", hex("89 48 44 46 0D 0A 1A 0A") + file[8...], .notADiff, at: 0,
        "the signature of HDF5"),
      InvalidVector("not-a-diff-short", [0x44], .notADiff, at: 0, "one byte, none of a signature"),
      flipped("header-checksum", at: 17, 0, "a header that does not match its checksum"),
      edited("major-version", .unsupportedVersion, at: 8, "major version 2") { $0.header[8] = 2 },
      edited("major-version-0", .unsupportedVersion, at: 8, "major version 0") { $0.header[8] = 0 },
      edited("incompatible-feature", .unsupportedFeature, at: 12, "incompatible feature 31") {
        $0.header[15] = 0x80
      },
      edited("header-reserved", .malformed, at: 20, "reserved bytes that are not 0") {
        $0.header[23] = 1
      },
      edited(
        "version-before-features", .unsupportedVersion, at: 8,
        "everything in the header is wrong: the version comes first"
      ) { $0.header.replaceSubrange(8..<24, with: [UInt8](repeating: 255, count: 16)) },
      flipped("footer-checksum", at: size - 25, size - 48, "a footer that does not match"),
      edited("footer-file-size", .malformed, at: size - 40, "file size one too many") {
        $0.fileSize = size + 1
      },
      edited("footer-index-size", .malformed, at: size - 48, "index larger than the file") {
        $0.indexSize = size - 79
      },
      edited("footer-index-size-huge", .malformed, at: size - 48, "index of 2^64 - 1 bytes") {
        $0.indexSize = .max
      },
      flipped(
        "identity", at: image.indexOffset, image.indexOffset,
        "an index that does not match the identity"),
      edited(
        "hole-behind-pages", .malformed, at: image.indexOffset + 1,
        "a byte between the pages and the index"
      ) { $0.gap = [0] },
      edited(
        "pages-past-index", .malformed, at: image.indexOffset,
        "a page of more bytes than the file has before the index"
      ) { $0["0.changes.0.size"] = varint(UInt64($0.pages[0].count) + 1) },
      flipped("page-checksum", at: 32, 32, "a page that does not match its checksum").decoded,
    ]
  }

  /// Refused only when pages are decoded.
  private var decoded: InvalidVector {
    InvalidVector(
      name, bytes, .checksum, at: description.offset, when: "decode", description.note)
  }

  /// Section 3.3.
  private static func textMode(_ file: [UInt8]) throws -> [InvalidVector] {
    let rest = file[8...]
    return [
      ("crlf-to-lf", "89 44 4B 46 0A 1A 0A", "CR LF became LF"),
      ("lf-to-crlf", "89 44 4B 46 0D 0D 0A 1A 0D 0A", "LF became CR LF"),
      ("lf-to-cr", "89 44 4B 46 0D 0D 1A 0D", "LF became CR"),
      ("lf-removed", "89 44 4B 46 0D 1A", "LF was removed"),
      ("lone-lf", "89 44 4B 46 0D 0A 1A 0D 0A", "a lone LF became CR LF"),
      ("seven-bits", "09 44 4B 46 0D 0A 1A 0A", "bit 7 was cleared"),
      ("utf8", "C2 89 44 4B 46 0D 0A 1A 0A", "Latin-1 was converted to UTF-8"),
      ("replaced", "EF BF BD 44 4B 46 0D 0A 1A 0A", "invalid UTF-8 was replaced"),
    ].map { name, signature, note in
      InvalidVector("text-mode-\(name)", hex(signature) + rest, .textMode, at: 0, note)
    }
  }
}
