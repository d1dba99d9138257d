import TensorCore

extension [UInt8] {
  /// Appends keys and values, sorted by key.
  mutating func append(metadata: [String: String]) throws(DiffError) {
    let size = metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 10 }
    guard size <= Layout.metadataSize else {
      throw DiffError(.limit, "metadata of \(size) bytes; the limit is \(Layout.metadataSize)")
    }
    try metadata.checkKeys()
    append(varint: UInt64(metadata.count))
    let sorted = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (key, value) in sorted {
      append(text: key)
      append(text: value)
    }
  }

  /// Appends an entry of the index.
  mutating func append(entry: DiffEntry) {
    append(entry.operation.code.rawValue)
    append(entry.type.rawValue)
    append(entry.flags)
    append(text: entry.name.description)
    append(shape: entry.shape)
    switch entry.operation {
    case .add(let values, let scale):
      append(values.elementType.rawValue)
      append(varint: UInt64((scale << 1) ^ (scale >> (Int.bitWidth - 1))))
    case .reshape(let new): append(shape: new)
    case .replace, .xor, .insert, .delete: break
    }
    for case let fingerprint? in [entry.base, entry.result, entry.old] { self += fingerprint.bytes }
    for stream in entry.operation.streams { append(pages: entry.pages[stream] ?? []) }
  }

  private mutating func append(shape: Shape) {
    append(varint: UInt64(shape.extents.count))
    for extent in shape.extents { append(varint: extent) }
  }

  private mutating func append(pages: [PageInfo]) {
    append(varint: UInt64(pages.count))
    var end: UInt64 = 0
    for page in pages {
      append(varint: page.start - end)
      append(varint: page.span)
      append(varint: UInt64(page.count))
      append(varint: page.storedSize)
      self += page.checksum.littleEndianBytes
      end = page.end
    }
  }
}

extension [String: String] {
  /// Refuses invalid metadata keys.
  func checkKeys() throws(DiffError) {
    for key in keys {
      guard (1...Layout.metadataKeyLength).contains(key.utf8.count),
        key.utf8.allSatisfy(Layout.isKeyByte)
      else {
        throw DiffError(
          .usage, "the metadata key '\(key)' is not 1 to 255 characters of printable ASCII")
      }
    }
  }
}
