import TensorCore

/// A table in memory.
struct TableText {
  /// The names of the columns, if there is a header.
  private(set) var names: [String]?
  /// How many fields a row has.
  private(set) var width = 0
  /// The line that each row begins in, counted from 1.
  private(set) var lines: [Int] = []
  /// What is unusual.
  private(set) var notes: [String] = []
  /// How the rows were written.
  let format: TableFormat
  /// The fields, one after the other, and where each ends.
  private var bytes: [UInt8] = []
  private var ends = [0]
  /// The fields that JSON has no text for, by their place in `ends`.
  private var missing: [Int: DiffError] = [:]

  /// Reads all rows.
  ///
  /// - Throws: `io`; `malformed` with the number of the line.
  init(_ reader: inout TableReader) throws(DiffError) {
    format = reader.format
    while try reader.next() {
      if lines.isEmpty { width = reader.count }
      guard reader.count == width else {
        throw reader.error(
          "has \(reader.count) columns where line \(lines[0]) has \(width); \(Self.hint(format))")
      }
      lines.append(reader.line)
      for column in 0..<width {
        do throws(DiffError) { bytes += try reader.text(column).utf8 } catch {
          missing[ends.count] = error
        }
        ends.append(bytes.count)
      }
    }
    guard !lines.isEmpty else { throw DiffError(.malformed, "no rows: the file is empty") }
    names = reader.names
    notes = reader.closingNotes
  }

  private static func hint(_ format: TableFormat) -> String {
    switch format {
    case .tsv: "columns are separated by one tab each, and there are no quotes around fields"
    default: "a field that holds a separator or an end of line stands in quotes"
    }
  }

  /// How many rows there are, the header not counted.
  var count: Int { lines.count - headers }
  private var headers = 0

  /// The text of a field.
  ///
  /// - Throws: `malformed` where JSON has no text there.
  func text(_ row: Int, _ column: Int) throws(DiffError) -> String {
    if !missing.isEmpty, let error = missing[place(row, column)] { throw error }
    return self[row, column]
  }

  /// The text of a field; empty where JSON has none there.
  subscript(row: Int, column: Int) -> String {
    let place = place(row, column)
    return String(decoding: bytes[ends[place - 1]..<ends[place]], as: UTF8.self)
  }

  /// The line that a row begins in.
  func line(_ row: Int) -> Int { lines[row + headers] }

  private func place(_ row: Int, _ column: Int) -> Int { (row + headers) * width + column + 1 }

  /// Takes the first row for the names of the columns.
  mutating func takeHeader() {
    names = (0..<width).map { self[0, $0] }
    headers = 1
  }

  static func error(_ line: Int, _ message: String) -> DiffError {
    DiffError(.malformed, "line \(line) \(message)")
  }
}
