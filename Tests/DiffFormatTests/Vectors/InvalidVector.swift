import DiffFormat
import TensorCore
import TestSupport

/// A file that every reader must refuse, with the error. The offset is that of the rule in the
/// specification, not the one that this reader reports.
struct InvalidVector: Sendable {
  let name: String
  let bytes: [UInt8]
  let description: InvalidDescription

  /// All of them.
  static func all() throws -> [InvalidVector] {
    try opening() + metadata() + entries() + additions() + pageLists() + pageHeads()
      + traversals() + bitmaps() + riceCodes() + packedCodes() + planes() + deflateStreams()
      + orders() + findings() + packed()
  }

  init(
    _ name: String, _ bytes: [UInt8], _ code: DiffError.Code, at offset: UInt64,
    when: String = "open", _ note: String
  ) {
    self.name = name
    self.bytes = bytes
    description = InvalidDescription(
      code: code.description, offset: offset, when: when, note: note)
  }

  /// A file whose index breaks a rule at a field.
  ///
  /// - Parameters:
  ///   - field: the field at fault; nil for the end of the index.
  ///   - plus: bytes from there to the offset.
  static func index(
    _ name: String, _ image: DiffImage, code: DiffError.Code = .malformed,
    at field: String?, plus: UInt64 = 0, _ note: String, _ edit: (inout DiffImage) -> Void
  ) -> InvalidVector {
    var image = image
    edit(&image)
    let offset = field.map { image.offset(of: $0) } ?? image.indexEnd
    return InvalidVector("index-\(name)", image.bytes, code, at: offset + plus, note)
  }

  /// A file whose only page is `page`, which breaks a rule at byte `at` of it.
  static func page(
    _ name: String, _ bed: Bed, at: Int, _ note: String, _ page: [UInt8]
  ) throws -> InvalidVector {
    try InvalidVector(
      "page-\(name)", bed.file(page), .malformed, at: 32 + UInt64(at), when: "decode", note)
  }

  static func page(
    _ name: String, _ bed: Bed, at: Int, _ note: String, _ page: String
  ) throws -> InvalidVector {
    try self.page(name, bed, at: at, note, hex(page))
  }
}
