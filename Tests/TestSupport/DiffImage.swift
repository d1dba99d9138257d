import TensorCore

/// The parts of a diff, any of which can be made invalid while lengths and checksums are kept
/// correct, so that a test reaches a rule and not the checksum before it.
///
/// Fields of the index have names such as `metadata.0.key`, `1.type`, `1.extent.0` or
/// `1.changes.0.skip`.
package struct DiffImage: Sendable {
  package struct Field: Sendable {
    package var name: String
    package var bytes: [UInt8]
  }

  /// The first 24 bytes; the checksum is computed.
  package var header: [UInt8]
  package var pages: [[UInt8]]
  package var fields: [Field]
  /// The name of the row of each page in the index, such as `0.changes.0`.
  package let pageNames: [String]
  /// Invalid bytes between the pages and the index.
  package var gap: [UInt8] = []
  /// Other values for the first 16 bytes of the footer.
  package var indexSize, fileSize: UInt64?
  /// Another value for the identity.
  package var identity: Fingerprint?

  /// The bytes of a field.
  package subscript(name: String) -> [UInt8] {
    get { fields[index(of: name)].bytes }
    set { fields[index(of: name)].bytes = newValue }
  }

  private func index(of name: String) -> Int {
    guard let index = fields.firstIndex(where: { $0.name == name }) else {
      preconditionFailure("no field \(name) among \(fields.map(\.name))")
    }
    return index
  }

  /// Inserts bytes before a field.
  package mutating func insert(_ bytes: [UInt8], before name: String) {
    fields.insert(Field(name: "inserted", bytes: bytes), at: self.index(of: name))
  }

  /// Truncates the index after the first `bytes` of a field.
  package mutating func cut(_ name: String, after bytes: Int = 0) {
    let last = self.index(of: name)
    fields.removeSubrange((last + 1)...)
    fields[last].bytes = Array(fields[last].bytes.prefix(bytes))
  }

  /// Replaces a page, and updates its size and checksum.
  package mutating func setPage(_ page: Int = 0, _ bytes: [UInt8]) {
    pages[page] = bytes
    self[pageNames[page] + ".size"] = varint(UInt64(bytes.count))
    self[pageNames[page] + ".checksum"] = XXH3.hash64(bytes.span).littleEndianBytes
  }

  // MARK: Assembly

  /// The file. Lengths and checksums of header, index and footer are correct unless other values
  /// are set.
  package var bytes: [UInt8] {
    var file = header + XXH3.hash64(header.span).littleEndianBytes
    file += pages.joined() + gap
    let index = Array(fields.map(\.bytes).joined())
    file += index
    var footer = (indexSize ?? UInt64(index.count)).littleEndianBytes
    footer += (fileSize ?? UInt64(file.count + 48)).littleEndianBytes
    footer += (identity ?? XXH3.hash128(index.span)).bytes
    footer += XXH3.hash64(footer.span).littleEndianBytes
    footer += hex("0A 1A 0A 0D 46 4B 44 89")
    return file + footer
  }

  // MARK: Offsets in the file

  package var indexOffset: UInt64 { UInt64(32 + pages.joined().count + gap.count) }
  package var indexEnd: UInt64 { UInt64(bytes.count - 48) }

  /// Returns the offset of a field.
  package func offset(of name: String) -> UInt64 {
    indexOffset + UInt64(fields[..<index(of: name)].reduce(0) { $0 + $1.bytes.count })
  }

  /// Returns the offset of a page.
  package func offset(ofPage page: Int) -> UInt64 {
    UInt64(32 + pages[..<page].joined().count)
  }
}
