import TensorCore

/// A table in memory.
struct TableText {
  /// The names of the columns, if there is a header.
  private(set) var names: [String]?
  /// The number of fields in a row.
  private(set) var width = 0
  /// The line in which each row begins, counted from 1.
  private(set) var lines: [Int] = []
  /// Notes on irregularities.
  private(set) var notes: [String] = []
  /// The format of the rows.
  let format: TableFormat
  /// The concatenated fields, and the end of each.
  private var bytes: [UInt8] = []
  private var ends = [0]
  /// The errors of fields for which JSON has no text, by their index in `ends`.
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
          "has \(reader.count.counted("column")) where line \(lines[0]) has \(width); "
            + Self.hint(format))
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
    case .tsv: "columns are separated by one tab each, without quotes around fields"
    default: "a field with a separator or a line break must be quoted"
    }
  }

  /// The number of rows, without the header.
  var count: Int { lines.count - headers }
  private var headers = 0

  /// Returns the text of a field.
  ///
  /// - Throws: `malformed` if JSON has no text there.
  func text(_ row: Int, _ column: Int) throws(DiffError) -> String {
    if !missing.isEmpty, let error = missing[index(row, column)] { throw error }
    return self[row, column]
  }

  /// The text of a field; empty if JSON has none there.
  subscript(row: Int, column: Int) -> String {
    let index = index(row, column)
    return String(decoding: bytes[ends[index - 1]..<ends[index]], as: UTF8.self)
  }

  /// Returns the line in which a row begins.
  func line(_ row: Int) -> Int { lines[row + headers] }

  private func index(_ row: Int, _ column: Int) -> Int { (row + headers) * width + column + 1 }

  /// Returns the first rows, at most `most`.
  func firstRows(_ most: Int) -> [[String]] {
    (0..<min(most, count)).map { row in (0..<width).map { self[row, $0] } }
  }

  /// Takes the first row as the names of the columns.
  mutating func takeHeader() {
    names = (0..<width).map { self[0, $0] }
    headers = 1
  }

  static func error(_ line: Int, _ message: String) -> DiffError {
    DiffError(.malformed, "line \(line) \(message)")
  }
}
