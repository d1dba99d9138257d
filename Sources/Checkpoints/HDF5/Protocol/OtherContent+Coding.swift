import TensorCore

extension MessageWriter {
  package mutating func put(_ contents: [OtherContent]) {
    put(contents.count)
    for content in contents {
      put(content.name)
      put(content.attribute.map { [$0] } ?? [])
      put(content.kind)
      put(content.digest?.bytes ?? [])
    }
  }
}

extension MessageReader {
  package mutating func contents() throws(DiffError) -> [OtherContent] {
    var contents: [OtherContent] = []
    for _ in 0..<(try count(width: 32)) {
      let name = try name()
      let attribute = try texts().first
      let kind = try text()
      let digest = try run()
      guard digest.isEmpty || digest.count == 16 else { throw .brokenMessage }
      contents.append(
        OtherContent(
          name, attribute: attribute, kind, digest.isEmpty ? nil : Fingerprint(digest, at: 0)))
    }
    try end()
    return contents
  }
}
