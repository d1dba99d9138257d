import StrictJSON
import SystemSupport
import TensorCore

/// Reads the rows of a table one after the other, in the memory of the longest of them.
///
///     var reader = try TableReader("train.csv")
///     while try reader.next() { print(reader.line, try reader.text(0)) }
///
/// In CSV a quote that does not begin a field is a character like others.
public struct TableReader {
  /// How the rows are written.
  public private(set) var format: TableFormat
  /// What messages call the file.
  public var name: String { stream.name }
  /// The line in which the row begins, counted from 1.
  public private(set) var line = 0
  /// What the file itself calls the fields: the members of the first object of JSON Lines.
  public private(set) var names: [String]?
  /// What is unusual.
  public private(set) var notes: [String] = []

  private let stream: ByteStream
  /// How many bytes have been read.
  private var offset = 0
  private var isAtEnd = false
  /// What was read and is not done with.
  private var bytes: [UInt8] = []
  /// Where the next row begins, in `bytes` and as a line.
  private var start = 0
  private var nextLine = 1
  /// The first of the empty lines before the next row.
  private var emptyLine: Int?
  private var fields: [Field] = []
  private var members: [JSONValue?] = []
  private var separator: UInt8 = 0x09
  private var hasReturns = false
  /// Whether quotes must be as a writer of quoted fields puts them.
  private let isStrict: Bool

  private struct Field {
    let start, end: Int
    /// Whether quotes in it are doubled.
    let hasQuotes: Bool
  }

  /// Opens a file.
  ///
  /// - Parameter format: By default that of the name's end; TSV for other names. Whether fields of
  ///   TSV are quoted is found out by reading it.
  /// - Throws: `io`; `malformed` for what is known to be no table.
  public init(_ path: String, format: TableFormat? = nil) throws(DiffError) {
    var known = format ?? TableFormat(suffixOf: path) ?? .tsv
    if format == nil, known == .tsv, try Self.isQuoted(path) { known = .quotedTSV }
    try self.init(ByteStream(path), known)
  }

  /// - Throws: `malformed` for what is known to be no table.
  package init(_ stream: ByteStream, _ format: TableFormat) throws(DiffError) {
    try self.init(stream, format, strict: false)
  }

  private init(
    _ stream: ByteStream, _ format: TableFormat, strict: Bool
  ) throws(DiffError) {
    self.stream = stream
    self.format = format
    isStrict = strict
    do throws(DiffError) {
      try fill()
      try ForeignTable.refuse(bytes[...])
    } catch { throw error.at(path: stream.name) }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      start = 3
      notes.append("the file begins with a byte order mark, which is skipped")
    }
    if format == .csv, let found = Self.separator(of: bytes[start...]), found != 0x2C {
      notes.append("fields are separated by \(found == 0x09 ? "tabs" : "';'")")
      separator = found
    } else if format == .csv {
      separator = 0x2C
    }
  }

  /// How many fields the row has.
  public var count: Int { format == .jsonl ? members.count : fields.count }

  /// The text of a field.
  ///
  /// - Throws: `malformed` where JSON has no text there.
  public func text(_ column: Int) throws(DiffError) -> String {
    guard format == .jsonl else {
      let field = fields[column]
      let range = field.start..<field.end
      guard field.hasQuotes else { return String(decoding: bytes[range], as: UTF8.self) }
      return String(decoding: bytes[range].withoutDoubledQuotes, as: UTF8.self)
    }
    switch members[column] {
    case .string(let text): return text
    case .number(let digits): return digits
    case .bool(let value): return value ? "true" : "false"
    case nil, .null: throw error("has no '\(names?[column] ?? "")'")
    case .array, .object:
      throw error("has a list or an object in '\(names?[column] ?? "")', where a text is wanted")
    }
  }

  /// Goes to the next row.
  ///
  /// - Parameter waiting: Whether to read on where the row is not there as a whole yet.
  /// - Returns: Whether there is one.
  /// - Throws: `io`; `malformed` with the number of the line.
  public mutating func next(waiting: Bool = true) throws(DiffError) -> Bool {
    do throws(DiffError) {
      while true {
        guard try scan() else {
          if isAtEnd || !waiting { return false }
          try fill()
          continue
        }
        guard !isEmptyLine else {
          emptyLine = emptyLine ?? line
          continue
        }
        if let emptyLine {
          line = emptyLine
          throw error("is empty")
        }
        if format == .jsonl { try parseObject() }
        return true
      }
    } catch { throw error.at(path: stream.name) }
  }

  private var isEmptyLine: Bool {
    format != .lines && fields.count == 1 && fields[0].start == fields[0].end
      && !fields[0].hasQuotes && (fields[0].start == 0 || bytes[fields[0].start - 1] != 0x22)
  }

  /// What is unusual, after the last row.
  public var closingNotes: [String] {
    notes + (hasReturns ? ["lines end in CR LF, which is taken as LF"] : [])
  }

  func error(_ message: String) -> DiffError {
    DiffError(.malformed, "line \(line) \(message)")
  }

  // MARK: Bytes

  private mutating func fill() throws(DiffError) {
    if start > 0 {
      bytes.removeSubrange(..<start)
      start = 0
    }
    // As much again as a long row has, so that it is not looked at from its beginning often.
    let before = bytes.count
    let count = max(1 << 18, min(bytes.count, 1 << 24))
    guard before < 1 << 30 else {
      line = nextLine
      throw error("is longer than 1 GiB; is a quote never closed?")
    }
    isAtEnd = try !stream.read(at: offset, count: count, appendingTo: &bytes)
    offset += bytes.count - before
  }

  /// Finds the fields of the next row, and the end of it.
  ///
  /// - Returns: Whether it is there as a whole.
  private mutating func scan() throws(DiffError) -> Bool {
    fields.removeAll(keepingCapacity: true)
    let isQuoting = format == .csv || format == .quotedTSV
    let isSplit = isQuoting || format == .tsv
    let limit = max(separator, 0x22)
    var kinds: UInt8 = 0
    var current = nextLine
    var first = start
    var index = start
    line = nextLine
    guard start < bytes.count else { return false }
    while index < bytes.count {
      let byte = bytes[index]
      kinds |= byte
      if byte > limit {
        index += 1
      } else if isSplit && byte == separator {
        fields.append(Field(start: first, end: index, hasQuotes: false))
        index += 1
        first = index
      } else if byte == 0x0A {
        let isReturn = index > first && bytes[index - 1] == 0x0D
        fields.append(Field(start: first, end: isReturn ? index - 1 : index, hasQuotes: false))
        return try finish(at: index + 1, line: current + 1, kinds: kinds, isReturn: isReturn)
      } else if byte == 0x22 && isQuoting && index == first {
        guard let (field, end) = try quoted(index, &current, &kinds) else { return false }
        fields.append(field)
        guard end < bytes.count else {
          return try finish(at: end, line: current, kinds: kinds, isReturn: false)
        }
        let isReturn = bytes[end] == 0x0D
        if isReturn && end + 1 == bytes.count && !isAtEnd { return false }
        let next = isReturn && end + 1 < bytes.count ? bytes[end + 1] : bytes[end]
        if next == 0x0A {
          return try finish(
            at: end + (isReturn ? 2 : 1), line: current + 1, kinds: kinds, isReturn: isReturn)
        }
        guard bytes[end] == separator else {
          throw error("has more in a field after the quote that closes it")
        }
        index = end + 1
        first = index
      } else if byte == 0 {
        throw error("contains a NUL byte; is it text in UTF-16?")
      } else if isStrict && byte == 0x22 {
        throw error("has a quote inside of a field without quotes")
      } else {
        index += 1
      }
    }
    guard isAtEnd else { return false }
    let isReturn = index > first && bytes[index - 1] == 0x0D
    fields.append(Field(start: first, end: isReturn ? index - 1 : index, hasQuotes: false))
    return try finish(at: index, line: current, kinds: kinds, isReturn: isReturn)
  }

  /// A field in quotes, which begins at `start`.
  ///
  /// - Returns: The field and the place after its last quote; nil if that is not there yet.
  private func quoted(
    _ start: Int, _ current: inout Int, _ kinds: inout UInt8
  ) throws(DiffError) -> (Field, end: Int)? {
    var index = start + 1
    var hasQuotes = false
    while index < bytes.count {
      let byte = bytes[index]
      kinds |= byte
      if byte == 0x22 {
        if index + 1 == bytes.count && !isAtEnd { return nil }
        guard index + 1 < bytes.count, bytes[index + 1] == 0x22 else {
          return (Field(start: start + 1, end: index, hasQuotes: hasQuotes), index + 1)
        }
        hasQuotes = true
        index += 1
      } else if byte == 0x0A {
        current += 1
      } else if byte == 0 {
        throw error("contains a NUL byte; is it text in UTF-16?")
      }
      index += 1
    }
    guard isAtEnd else { return nil }
    throw error("has a quote that is never closed")
  }

  private mutating func finish(
    at end: Int, line nextLine: Int, kinds: UInt8, isReturn: Bool
  ) throws(DiffError) -> Bool {
    if kinds >= 0x80, String(validating: bytes[start..<end], as: UTF8.self) == nil {
      throw error("is not valid UTF-8; convert the file first")
    }
    start = end
    self.nextLine = nextLine
    hasReturns = hasReturns || isReturn
    return true
  }

  private mutating func parseObject() throws(DiffError) {
    let value: JSONValue
    do throws(DiffError) {
      value = try JSONValue(parsing: Array(bytes[fields[0].start..<fields[0].end]))
    } catch { throw self.error("is no JSON: \(error.message)") }
    guard case .object(let found) = value else {
      throw error("is no object of JSON, as every line of JSON Lines is")
    }
    guard let names else {
      names = found.map(\.name)
      members = found.map(\.value)
      return
    }
    members = names.map { value[$0] }
  }

  // MARK: What a file seems to be

  /// The separator of the first row: a comma if it has any outside of quotes.
  private static func separator(of bytes: ArraySlice<UInt8>) -> UInt8? {
    var isQuoted = false
    var found: Set<UInt8> = []
    for byte in bytes {
      if byte == 0x22 { isQuoted.toggle() }
      if isQuoted { continue }
      if byte == 0x0A { break }
      found.insert(byte)
    }
    return [0x2C, 0x3B, 0x09].first(where: found.contains)
  }

  /// Whether a file of TSV has been written with quotes: every quote is where such a writer puts
  /// it, and some field needs its quotes, or all have them.
  private static func isQuoted(_ path: String) throws(DiffError) -> Bool {
    var reader = try TableReader(ByteStream(path), .quotedTSV, strict: true)
    var (isNeeded, hasQuotes, isBare) = (false, false, false)
    do {
      while try reader.next() {
        for field in reader.fields {
          let isQuoted = field.start > 0 && reader.bytes[field.start - 1] == 0x22
          let text = reader.bytes[field.start..<field.end]
          hasQuotes = hasQuotes || isQuoted
          isBare = isBare || !isQuoted && Double(String(decoding: text, as: UTF8.self)) == nil
          isNeeded =
            isNeeded || field.hasQuotes
            || isQuoted && text.contains { $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
        }
      }
    } catch { return false }
    return isNeeded || hasQuotes && !isBare
  }
}

extension ArraySlice<UInt8> {
  /// The bytes with each pair of quotes as one.
  fileprivate var withoutDoubledQuotes: [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(count)
    var isSecond = false
    for byte in self {
      if byte == 0x22 && isSecond {
        isSecond = false
        continue
      }
      isSecond = byte == 0x22
      out.append(byte)
    }
    return out
  }
}
