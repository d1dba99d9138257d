extension DiffImage {
  /// Parses a valid file; traps if it is invalid.
  package init(_ file: [UInt8]) {
    let footer = Array(file.suffix(48))
    let indexSize = footer[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let indexStart = file.count - 48 - indexSize
    var walk = IndexWalk(Array(file[indexStart..<file.count - 48]))
    walk.index()
    var at = 32
    let pages = walk.sizes.map { size in
      defer { at += size }
      return Array(file[at..<at + size])
    }
    precondition(at == indexStart && walk.isAtEnd, "not a valid file")
    self.init(
      header: Array(file[..<24]), pages: pages, fields: walk.fields, pageNames: walk.pageNames)
  }

  private init(header: [UInt8], pages: [[UInt8]], fields: [Field], pageNames: [String]) {
    self.header = header
    self.pages = pages
    self.fields = fields
    self.pageNames = pageNames
  }
}

/// Splits an index into fields, by the specification and independently of DiffFormat.
private struct IndexWalk {
  private let bytes: [UInt8]
  private var at = 0
  private(set) var fields: [DiffImage.Field] = []
  private(set) var pageNames: [String] = []
  private(set) var sizes: [Int] = []

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { at == bytes.count }

  @discardableResult
  private mutating func take(_ name: String, _ count: Int) -> [UInt8] {
    let taken = Array(bytes[at..<at + count])
    fields.append(DiffImage.Field(name: name, bytes: taken))
    at += count
    return taken
  }

  @discardableResult
  private mutating func number(_ name: String) -> Int {
    let length = (bytes[at...].firstIndex { $0 < 0x80 } ?? at) + 1 - at
    return take(name, length).reversed().reduce(0) { $0 << 7 | Int($1 & 0x7F) }
  }

  private mutating func text(_ name: String) {
    take(name, number(name + ".length"))
  }

  mutating func index() {
    for pair in 0..<number("metadata.count") {
      text("metadata.\(pair).key")
      text("metadata.\(pair).value")
    }
    for entry in 0..<number("entries.count") { self.entry("\(entry)") }
    for record in 0..<number("extensions.count") {
      number("extensions.\(record).identifier")
      text("extensions.\(record)")
    }
  }

  private mutating func entry(_ name: String) {
    let operation = take(name + ".operation", 1)[0]
    take(name + ".type", 1)
    let flags = take(name + ".flags", 1)[0]
    text(name + ".name")
    shape(name)
    if operation == 1 {
      take(name + ".valueType", 1)
      number(name + ".scale")
    }
    if operation == 6 { shape(name + ".new") }
    for (bit, fingerprint) in ["base", "result", "old"].enumerated() where flags >> bit & 1 == 1 {
      take("\(name).\(fingerprint)", 16)
    }
    let streams = operation == 6 ? ["changes", "oldRemainder", "newRemainder"] : ["changes"]
    for stream in streams { pages("\(name).\(stream)") }
  }

  private mutating func shape(_ name: String) {
    for axis in 0..<number(name + ".rank") { number("\(name).extent.\(axis)") }
  }

  private mutating func pages(_ name: String) {
    for page in 0..<number(name + ".count") {
      let row = "\(name).\(page)"
      pageNames.append(row)
      for field in ["skip", "span", "count"] { number("\(row).\(field)") }
      sizes.append(number(row + ".size"))
      take(row + ".checksum", 8)
    }
  }
}
