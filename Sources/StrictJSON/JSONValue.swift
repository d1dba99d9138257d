import TensorCore

/// A JSON text as a value (RFC 8259).
package enum JSONValue: Sendable, Hashable {
  case null
  case bool(Bool)
  /// A number as written; the caller interprets it.
  case number(String)
  case string(String)
  case array([JSONValue])
  /// An object with its members in the order of the text; names are unique.
  case object([Member])

  /// A member of an object.
  package struct Member: Sendable, Hashable {
    package var name: String
    package var value: JSONValue

    package init(_ name: String, _ value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// The value of a member of an object, or nil. O(members).
  package subscript(name: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name.hasBytes(of: name) }?.value
  }

  /// The text, if this is a string.
  package var text: String? { if case .string(let text) = self { text } else { nil } }

  /// The number, if it is written as an integer without sign, fraction or exponent, within 64 bits.
  package var unsigned: UInt64? {
    guard case .number(let digits) = self, digits.utf8.allSatisfy({ (48...57).contains($0) })
    else { return nil }
    return UInt64(digits)
  }

  /// The value, if this is a number.
  package var double: Double? { if case .number(let digits) = self { Double(digits) } else { nil } }

  /// The elements, if this is an array.
  package var elements: [JSONValue]? {
    if case .array(let elements) = self { elements } else { nil }
  }

  /// The members, if this is an object.
  package var members: [Member]? { if case .object(let members) = self { members } else { nil } }

  /// The shortest text of the value, with only the required escapes.
  package var compact: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .number(let digits): digits
    case .string(let text): Self.quoted(text)
    case .array(let elements): "[" + elements.map(\.compact).joined(separator: ",") + "]"
    case .object(let members):
      "{"
        + members.map { Self.quoted($0.name) + ":" + $0.value.compact }.joined(separator: ",")
        + "}"
    }
  }

  private static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\t": out += "\\t"
      case "\r": out += "\\r"
      case "\0"..<" ": out += scalar.jsonEscape
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}

extension Unicode.Scalar {
  /// The JSON escape of the scalar by its UTF-16 code units.
  package var jsonEscape: String {
    String(self).utf16.map { "\\u" + $0.hexadecimal }.joined()
  }
}

extension String {
  /// Returns whether two texts have the same bytes; `==` takes others as equal, too.
  func hasBytes(of other: String) -> Bool {
    let (these, those) = (utf8.span, other.utf8.span)
    guard these.count == those.count else { return false }
    for i in these.indices where these[i] != those[i] { return false }
    return true
  }
}
