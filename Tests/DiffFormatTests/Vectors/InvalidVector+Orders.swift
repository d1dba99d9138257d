import DiffFormat
import TensorCore
import TestSupport

extension InvalidVector {
  /// Section 10: of two damaged pages the first is reported, whatever the damage.
  static func orders() throws -> [InvalidVector] {
    let bed = Bed.gaps
    let values = [UInt8](repeating: 7, count: bed.positions.count)
    let image = DiffImage(
      try Contents(
        ["a", "b"].map {
          .init(DiffEntry($0, .replace, bed.type, bed.shape), Changes(bed.positions, values))
        }
      ).encoded())
    func pages(
      _ name: String, _ code: DiffError.Code, at offset: UInt64, malformed: Int, checksum: Int,
      _ note: String
    ) -> InvalidVector {
      var image = image
      image.setPage(malformed, hex("0F 06 02 00 08 02 47 10 01 07"))
      image[image.pageNames[checksum] + ".checksum"] = [UInt8](repeating: 0, count: 8)
      return InvalidVector("pages-\(name)", image.bytes, code, at: offset, when: "decode", note)
    }
    return [
      pages(
        "malformed-first", .malformed, at: 32, malformed: 0, checksum: 1,
        "a page is decoded before the checksum of the next one is seen"),
      pages(
        "checksum-first", .checksum, at: 32, malformed: 1, checksum: 0,
        "the checksum of the first page, before what is wrong in the second"),
    ]
  }
}
