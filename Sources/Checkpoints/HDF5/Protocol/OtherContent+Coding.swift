import TensorCore

extension MessageWriter {
  package mutating func put(_ contents: [OtherContent]) {
    put(contents.count)
    for content in contents {
      put(content.name)
      put(content.attribute.map { [$0] } ?? [])
      put(content.kind)
      put(content.digest?.bytes ?? [])
      put(content.value)
    }
  }

  package mutating func put(_ value: AttributeValue?) {
    put(value == nil ? 0 : 1)
    guard let value else { return }
    put(value.texts)
    put(value.isList ? 1 : 0)
    put(value.isVariable ? 1 : 0)
  }
}

extension MessageReader {
  package mutating func contents() throws(DiffError) -> [OtherContent] {
    var contents: [OtherContent] = []
    for _ in 0..<(try count(width: 40)) {
      let name = try name()
      let attribute = try texts().first
      let kind = try text()
      let digest = try run()
      guard digest.isEmpty || digest.count == 16 else { throw .brokenMessage }
      contents.append(
        OtherContent(
          name, attribute: attribute, value: try value(), kind,
          digest.isEmpty ? nil : Fingerprint(digest, at: 0)))
    }
    try end()
    return contents
  }

  package mutating func value() throws(DiffError) -> AttributeValue? {
    guard try flag() else { return nil }
    return AttributeValue(try texts(), isList: try flag(), isVariable: try flag())
  }
}
