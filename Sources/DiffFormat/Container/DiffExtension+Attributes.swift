import TensorCore

extension DiffExtension {
  /// The identifier of the extension for attributes of a container (FORMAT.md, 4.7.1).
  public static let attributesIdentifier: UInt64 = 2

  /// Creates an extension that holds attributes.
  public init(attributes: [AttributeChange]) {
    bytes = []
    identifier = Self.attributesIdentifier
    bytes.append(varint: UInt64(attributes.count))
    for change in attributes {
      bytes.append(text: change.object.description)
      bytes.append(text: change.name)
      bytes.append(change.old)
      bytes.append(change.new)
    }
  }

  /// The attributes that the extension holds; nil if it is another extension or is malformed.
  public var attributes: [AttributeChange]? {
    guard identifier == Self.attributesIdentifier else { return nil }
    var cursor = Cursor(bytes, origin: 0)
    return try? cursor.attributes(bytes)
  }
}

extension DiffWriter {
  /// Adds the attribute changes of the container to the diff.
  package func carry(_ attributes: [AttributeChange]) {
    if !attributes.isEmpty { extensions.append(DiffExtension(attributes: attributes)) }
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ value: AttributeValue?) {
    guard let value else { return append(0) }
    append(1 | (value.isList ? 2 : 0) | (value.isVariable ? 4 : 0))
    if value.isList { append(varint: UInt64(value.texts.count)) }
    for text in value.isList ? value.texts : [value.texts.first ?? ""] { append(text: text) }
  }
}

extension Cursor {
  fileprivate mutating func attributes(_ bytes: [UInt8]) throws(DiffError) -> [AttributeChange] {
    let count = try varint("attribute count", atMost: UInt64(remaining / 4))
    var changes: [AttributeChange] = []
    for _ in 0..<count {
      changes.append(
        AttributeChange(
          object: TensorName(try string(bytes)), name: try string(bytes), old: try value(bytes),
          new: try value(bytes)))
    }
    guard remaining == 0 else { throw malformed("bytes after the attributes") }
    return changes
  }

  private mutating func string(_ bytes: [UInt8]) throws(DiffError) -> String {
    let range = try text("a text of an attribute", atMost: remaining)
    return String(decoding: bytes[range], as: UTF8.self)
  }

  private mutating func value(_ bytes: [UInt8]) throws(DiffError) -> AttributeValue? {
    let kind = try byte("kind of an attribute")
    guard kind != 0 else { return nil }
    guard kind < 8, kind & 1 == 1 else { throw malformed("unknown kind of an attribute") }
    let isList = kind & 2 != 0
    let count = isList ? try varint("texts", atMost: UInt64(remaining)) : 1
    var texts: [String] = []
    for _ in 0..<count { texts.append(try string(bytes)) }
    return AttributeValue(texts, isList: isList, isVariable: kind & 4 != 0)
  }
}
