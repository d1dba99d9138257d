import TensorCore

/// A diff taken apart, so that one thing in it can be made wrong and everything else, lengths and
/// checksums among it, right: a rule is then tested, and not the checksum in front of it.
///
/// Fields of the index have names such as `metadata.0.key`, `1.type`, `1.extent.0` or
/// `1.changes.0.skip`.
package struct DiffImage: Sendable {
  package struct Field: Sendable {
    package var name: String
    package var bytes: [UInt8]
  }

  /// The first 24 bytes; the checksum is made.
  package var header: [UInt8]
  package var pages: [[UInt8]]
  package var fields: [Field]
  /// What the row of each page in the index is called, such as `0.changes.0`.
  package let pageNames: [String]
  /// Bytes between the pages and the index, where none belong.
  package var gap: [UInt8] = []
  /// The first 16 bytes of the footer, if they are not to be right.
  package var indexSize, fileSize: UInt64?
  /// The identity, if it is not to be right.
  package var identity: Fingerprint?

  /// The bytes of a field.
  package subscript(name: String) -> [UInt8] {
    get { fields[place(of: name)].bytes }
    set { fields[place(of: name)].bytes = newValue }
  }

  private func place(of name: String) -> Int {
    guard let place = fields.firstIndex(where: { $0.name == name }) else {
      preconditionFailure("no field \(name) among \(fields.map(\.name))")
    }
    return place
  }

  /// Inserts bytes in front of a field.
  package mutating func insert(_ bytes: [UInt8], before name: String) {
    fields.insert(Field(name: "inserted", bytes: bytes), at: place(of: name))
  }

  /// Cuts the index off, so that `bytes` of a field are left, and nothing behind it.
  package mutating func cut(_ name: String, after bytes: Int = 0) {
    let place = place(of: name)
    fields.removeSubrange((place + 1)...)
    fields[place].bytes = Array(fields[place].bytes.prefix(bytes))
  }

  /// Puts another page in the place of one; its size and checksum follow.
  package mutating func setPage(_ page: Int = 0, _ bytes: [UInt8]) {
    pages[page] = bytes
    self[pageNames[page] + ".size"] = varint(UInt64(bytes.count))
    self[pageNames[page] + ".checksum"] = XXH3.hash64(bytes.span).littleEndianBytes
  }

  // MARK: Putting together

  /// The file. Lengths and checksums of header, index and footer are right, unless told otherwise.
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

  // MARK: Places in the file

  package var indexOffset: UInt64 { UInt64(32 + pages.joined().count + gap.count) }
  package var indexEnd: UInt64 { UInt64(bytes.count - 48) }

  /// Where a field begins.
  package func offset(of name: String) -> UInt64 {
    indexOffset + UInt64(fields[..<place(of: name)].reduce(0) { $0 + $1.bytes.count })
  }

  /// Where a page begins.
  package func offset(ofPage page: Int) -> UInt64 {
    UInt64(32 + pages[..<page].joined().count)
  }
}
