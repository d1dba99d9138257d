import StrictJSON
import SystemSupport
import TensorCore

/// A reader of the rows of a table, one after another, in memory for the longest of them.
///
///     var reader = try TableReader("train.csv")
///     while try reader.next() { print(reader.line, try reader.text(0)) }
///
/// In CSV a quote that does not begin a field is an ordinary character.
public struct TableReader {
  /// The format of the rows.
  public private(set) var format: TableFormat
  /// The name of the file in messages.
  public var name: String { stream.name }
  /// The line in which the row begins, counted from 1.
  public private(set) var line = 0
  /// The names of the fields in JSON Lines: the members of the first object, unless others were
  /// specified; nil for other formats.
  public private(set) var names: [String]?
  /// A member of the row that is not one of `names`; nil without one.
  package private(set) var unknownMember: String?
  /// Notes on irregularities.
  public private(set) var notes: [String] = []

  private let stream: ByteStream
  /// The number of bytes that have been read.
  private var offset = 0
  private var isAtEnd = false
  /// The bytes that have been read but not consumed.
  private var bytes: [UInt8] = []
  /// The start of the next row, as an index of `bytes` and as a line.
  private var start = 0
  private var nextLine = 1
  /// The first of the empty lines before the next row.
  private var emptyLine: Int?
  private var fields: [Field] = []
  private var members: [JSONValue?] = []
  private var separator: UInt8 = 0x09
  private var hasReturns = false
  /// True if quotes must be where a writer of quoted fields puts them.
  private let isStrict: Bool

  private struct Field {
    let start, end: Int
    /// True if it has doubled quotes.
    let hasQuotes: Bool
  }

  /// Opens a file.
  ///
  /// - Parameters:
  ///   - path: The path of the file.
  ///   - format: By default that of the name's suffix, else TSV. Quoting in TSV is detected by
  ///     reading the file.
  /// - Throws: `io`; `malformed` for files that are known not to be tables.
  public init(_ path: String, format: TableFormat? = nil) throws(DiffError) {
    var known = format ?? TableFormat(suffixOf: path) ?? .tsv
    if format == nil, known == .tsv, try Self.isQuoted(path) { known = .quotedTSV }
    try self.init(ByteStream(path), known)
  }

  /// Returns the names of the members of all rows of JSON Lines, in order of appearance.
  ///
  /// - Throws: `io`; `malformed` with the number of the line.
  /// - Complexity: O(bytes).
  package static func memberNames(of path: String) throws(DiffError) -> [String] {
    var reader = try TableReader(path, format: .jsonl)
    while try reader.next() {
      // The row is read again with each name that is new, so that none of its members is missed.
      while let name = reader.unknownMember {
        reader.names?.append(name)
        try reader.parseObject()
      }
    }
    return reader.names ?? []
  }

  /// Opens a file of JSON Lines whose rows have the members `names`, or some of them.
  package init(_ path: String, members names: [String]) throws(DiffError) {
    try self.init(path, format: .jsonl)
    if !names.isEmpty { self.names = names }
  }

  /// Reads a stream.
  ///
  /// - Throws: `malformed` for files that are known not to be tables.
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

  /// The number of fields in the row.
  public var count: Int { format == .jsonl ? members.count : fields.count }

  /// Returns the text of a field.
  ///
  /// - Throws: `malformed` if JSON has no text there.
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
      throw error("has an array or an object in '\(names?[column] ?? "")', where text is expected")
    }
  }

  /// Returns a field as JSON: the value of a member, null if there is none, or a text.
  package func value(_ column: Int) throws(DiffError) -> JSONValue {
    format == .jsonl ? members[column] ?? .null : .string(try text(column))
  }

  /// The next rows of a table in a file, `TableHeader.sampleSize` at most, up to one that is malformed;
  /// they are still to come.
  var nextRows: [[String]] {
    guard format != .jsonl, format != .lines else { return [] }
    var copy = self
    var rows: [[String]] = []
    while rows.count < TableHeader.sampleSize, (try? copy.next()) == true,
      rows.first.map({ $0.count == copy.count }) ?? true
    {
      rows.append((0..<copy.count).compactMap { try? copy.text($0) })
    }
    return rows
  }

  /// Advances to the next row.
  ///
  /// - Parameter waiting: True to read on if the row has not been read completely.
  /// - Returns: False if there is none.
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

  /// Notes on irregularities, complete after the last row.
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
    // As many bytes again as a long row has, so that it is not scanned anew often.
    let before = bytes.count
    let count = max(1 << 18, min(bytes.count, 1 << 24))
    guard before < 1 << 30 else {
      line = nextLine
      throw error("is longer than 1 GiB; check for a quote that is never closed")
    }
    isAtEnd = try !stream.read(at: offset, count: count, appendingTo: &bytes)
    offset += bytes.count - before
  }

  /// Finds the fields and the end of the next row.
  ///
  /// - Returns: False if the row has not been read completely.
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
          throw error("has more characters after the closing quote of a field")
        }
        index = end + 1
        first = index
      } else if byte == 0 {
        throw error("contains a NUL byte; is it text in UTF-16?")
      } else if isStrict && byte == 0x22 {
        throw error("has a quote inside a field without quotes")
      } else {
        index += 1
      }
    }
    guard isAtEnd else { return false }
    let isReturn = index > first && bytes[index - 1] == 0x0D
    fields.append(Field(start: first, end: isReturn ? index - 1 : index, hasQuotes: false))
    return try finish(at: index, line: current, kinds: kinds, isReturn: isReturn)
  }

  /// Scans a quoted field that begins at `start`.
  ///
  /// - Returns: The field and the index after its last quote; nil if that has not been read yet.
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
    } catch { throw self.error("is not valid JSON: \(error.message)") }
    guard case .object(let found) = value else {
      throw error("is not a JSON object, as every line of JSON Lines must be")
    }
    guard let names else {
      names = found.map(\.name)
      members = found.map(\.value)
      return
    }
    members = names.map { value[$0] }
    let isComplete = found.count == members.count { $0 != nil }
    unknownMember = isComplete ? nil : found.first { !names.contains($0.name) }?.name
  }

  // MARK: Detection

  /// Returns the separator of the first row: a comma if it has one outside quotes.
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

  /// Returns whether a TSV file was written with quotes: every quote is where such a writer puts
  /// it, and some field needs its quotes, or all fields but numbers have them.
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
  /// The bytes with each doubled quote as one.
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
