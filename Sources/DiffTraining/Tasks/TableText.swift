import TensorCore

/// The lines of a file of tab-separated values: no quoting, a row a line.
struct TableText {
  /// The fields of each row.
  private(set) var rows: [[Substring]] = []
  /// The line that each row stands in, counted from 1.
  private(set) var lines: [Int] = []
  /// What is unusual.
  private(set) var notes: [String] = []

  /// - Throws: `malformed` with the number of the line.
  init(_ bytes: [UInt8]) throws(DiffError) {
    var bytes = bytes[...]
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      bytes = bytes.dropFirst(3)
      notes.append("the file begins with a byte order mark, which is skipped")
    }
    var hasReturns = false
    var line = 0
    while !bytes.isEmpty {
      line += 1
      var row = bytes.prefix { $0 != 0x0A }
      bytes = bytes[row.endIndex...].dropFirst()
      if row.last == 0x0D {
        hasReturns = true
        row = row.dropLast()
      }
      // Empty lines at the end are no rows; one in between would shift what comes after it.
      if row.isEmpty && bytes.allSatisfy({ $0 == 0x0A || $0 == 0x0D }) { break }
      guard !row.contains(0) else { throw Self.error(line, "contains a NUL byte") }
      guard let text = String(validating: row, as: UTF8.self) else {
        throw Self.error(line, "is not valid UTF-8; convert the file first")
      }
      let scalars = text[...].unicodeScalars
      rows.append(
        scalars.split(separator: "\t", omittingEmptySubsequences: false).map { Substring($0) })
      lines.append(line)
      if let first = rows.first, rows.last?.count != first.count {
        throw Self.error(
          line,
          "has \(rows[rows.count - 1].count) columns where line 1 has \(first.count); columns "
            + "are separated by one tab each, and there is no quoting")
      }
    }
    guard !rows.isEmpty else { throw DiffError(.malformed, "no rows: the file is empty") }
    if hasReturns { notes.append("lines end in CR LF, which is taken as LF") }
  }

  /// Takes the first row away: the names of the columns.
  mutating func popHeader() -> [Substring] {
    lines.removeFirst()
    return rows.removeFirst()
  }

  static func error(_ line: Int, _ message: String) -> DiffError {
    DiffError(.malformed, "line \(line) \(message)")
  }
}
