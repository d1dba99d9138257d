import TensorCore

extension JSONValue {
  /// Parses a text that is one JSON value, surrounded by optional white space.
  ///
  /// Strict where other parsers differ, so that a text has one meaning: valid UTF-8, no duplicate
  /// members in an object, no lone surrogates, at most 128 levels.
  ///
  /// - Throws: `malformed` with the byte offset in the text.
  /// - Complexity: O(bytes) in time and memory, on average.
  package init(parsing bytes: [UInt8]) throws(DiffError) {
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw DiffError(.malformed, "JSON that is not valid UTF-8")
    }
    var parser = JSONParser(bytes: bytes)
    parser.skipSpace()
    self = try parser.value(depth: 0)
    try parser.end()
  }

  /// Parses a text that is one object, handing the elements of one of its members, an array, to `body`
  /// as they come: they are not in the value, so memory is that of one of them and of the other members.
  ///
  /// - Parameter limit: the most values in an element, and in all other members together.
  /// - Throws: as `init(parsing:)`; `limit`; what `body` throws.
  package init(
    parsing bytes: [UInt8], elementsOf name: String, valuesEach limit: Int,
    _ body: (JSONValue) throws(DiffError) -> Void
  ) throws(DiffError) {
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw DiffError(.malformed, "JSON that is not valid UTF-8")
    }
    var parser = JSONParser(bytes: bytes)
    parser.skipSpace()
    guard parser.isAt("{") else { throw parser.error("no JSON object") }
    var members: [Member] = []
    parser.valuesLeft = limit
    try parser.forEachMember { (parser, member) throws(DiffError) in
      guard member == name, parser.isAt("[") else {
        members.append(Member(member, try parser.value(depth: 1)))
        return
      }
      let left = parser.valuesLeft
      try parser.forEachElement { (parser) throws(DiffError) in
        parser.valuesLeft = limit
        try body(parser.value(depth: 2))
      }
      parser.valuesLeft = left
      members.append(Member(member, .array([])))
    }
    try parser.end()
    self = .object(members)
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  var position = 0
  /// How many values may still come.
  var valuesLeft = Int.max

  init(bytes: [UInt8]) { self.bytes = bytes }

  func isAt(_ character: Unicode.Scalar) -> Bool { next == UInt8(ascii: character) }

  mutating func end() throws(DiffError) {
    skipSpace()
    guard position == bytes.count else { throw error("content after the JSON value") }
  }

  /// The next byte, or 0, which JSON does not contain, at the end.
  private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

  func error(_ message: String) -> DiffError {
    DiffError(.malformed, message, offset: UInt64(position))
  }

  mutating func skipSpace() {
    while next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 { position += 1 }
  }

  mutating func value(depth: Int) throws(DiffError) -> JSONValue {
    guard depth < 128 else { throw error("JSON nested too deeply") }
    valuesLeft -= 1
    guard valuesLeft >= 0 else {
      throw DiffError(.limit, "more JSON values than are read", offset: UInt64(position))
    }
    switch next {
    case UInt8(ascii: "{"): return try object(depth)
    case UInt8(ascii: "["): return try array(depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default:
      for (word, value) in [
        ("true", JSONValue.bool(true)), ("false", .bool(false)), ("null", .null),
      ]
      where bytes[position...].starts(with: word.utf8) {
        position += word.utf8.count
        return value
      }
      throw error("not a JSON value")
    }
  }

  private mutating func object(_ depth: Int) throws(DiffError) -> JSONValue {
    var members: [JSONValue.Member] = []
    try forEachMember { (parser, name) throws(DiffError) in
      members.append(JSONValue.Member(name, try parser.value(depth: depth + 1)))
    }
    return .object(members)
  }

  private mutating func array(_ depth: Int) throws(DiffError) -> JSONValue {
    var elements: [JSONValue] = []
    try forEachElement { (parser) throws(DiffError) in
      elements.append(try parser.value(depth: depth + 1))
    }
    return .array(elements)
  }

  /// Goes through an object; `body` takes the value of each member.
  mutating func forEachMember(
    _ body: (inout Self, String) throws(DiffError) -> Void
  ) throws(DiffError) {
    position += 1
    var names: [String] = []
    // Where there are few, to look at them is faster.
    var set: Set<[UInt8]>?
    skipSpace()
    while next != UInt8(ascii: "}") {
      guard next == UInt8(ascii: "\"") else { throw error("a name of a member is missing") }
      let start = position
      let name = try string()
      if names.count == 16 { set = Set(names.map { Array($0.utf8) }) }
      let isNew =
        set?.insert(Array(name.utf8)).inserted
        ?? !names.contains { $0.hasBytes(of: name) }
      guard isNew else {
        position = start
        throw error("duplicate member '\(name)'")
      }
      if set == nil { names.append(name) }
      skipSpace()
      try take(":")
      skipSpace()
      try body(&self, name)
      skipSpace()
      if next == UInt8(ascii: "}") { break }
      try take(",")
      skipSpace()
      guard next != UInt8(ascii: "}") else { throw error("a comma before the end") }
    }
    position += 1
  }

  /// Goes through an array; `body` takes each element.
  mutating func forEachElement(
    _ body: (inout Self) throws(DiffError) -> Void
  ) throws(DiffError) {
    position += 1
    skipSpace()
    while next != UInt8(ascii: "]") {
      try body(&self)
      skipSpace()
      if next == UInt8(ascii: "]") { break }
      try take(",")
      skipSpace()
      guard next != UInt8(ascii: "]") else { throw error("a comma before the end") }
    }
    position += 1
  }

  private mutating func take(_ character: Unicode.Scalar) throws(DiffError) {
    guard next == UInt8(ascii: character) else { throw error("'\(character)' is missing") }
    position += 1
  }

  private mutating func string() throws(DiffError) -> String {
    position += 1
    // Without escapes, the bytes are the text.
    let plain = bytes[position...].prefix { $0 != 0x22 && $0 != 0x5C && $0 >= 0x20 }
    position = plain.endIndex
    if next == UInt8(ascii: "\"") {
      position += 1
      return String(decoding: plain, as: UTF8.self)
    }
    var out = Array(plain)
    while next != UInt8(ascii: "\"") {
      guard next >= 0x20 else { throw error("a string that does not end, or a control character") }
      if next == UInt8(ascii: "\\") {
        position += 1
        out += Array(String(try escape()).utf8)
      } else {
        out.append(next)
        position += 1
      }
    }
    position += 1
    return String(decoding: out, as: UTF8.self)
  }

  private mutating func escape() throws(DiffError) -> Unicode.Scalar {
    let character = next
    position += 1
    switch character {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(character)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var units = [try unit()]
      if units[0] & 0xFC00 == 0xD800, next == UInt8(ascii: "\\") {
        position += 1
        try take("u")
        units.append(try unit())
      }
      let text = String(validating: units, as: UTF16.self)
      guard let scalar = text?.unicodeScalars.first, text?.unicodeScalars.count == 1 else {
        throw error("half of a surrogate pair")
      }
      return scalar
    default:
      position -= 1
      throw error("an unknown escape")
    }
  }

  private mutating func unit() throws(DiffError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(next)).hexDigitValue else {
        throw error("not a hexadecimal digit")
      }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    return value
  }

  private mutating func number() throws(DiffError) -> JSONValue {
    let start = position
    if next == UInt8(ascii: "-") { position += 1 }
    if next == UInt8(ascii: "0") { position += 1 } else { try digits() }
    if next == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if next | 0x20 == UInt8(ascii: "e") {
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    return .number(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func digits() throws(DiffError) {
    let start = position
    while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) { position += 1 }
    guard position > start else { throw error("a digit is missing") }
  }
}
