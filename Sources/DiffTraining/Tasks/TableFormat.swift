import SystemSupport
import TensorCore

/// How the rows of a table are written.
public enum TableFormat: String, Sendable, Hashable, CaseIterable, Codable {
  /// Fields between tabs, as they stand.
  case tsv
  /// Fields between tabs; those with tabs, ends of lines or quotes stand in quotes, as pandas and
  /// spreadsheets write them.
  case quotedTSV = "tsv-quoted"
  /// Fields between commas, or between the semicolons of German spreadsheets (RFC 4180).
  case csv
  /// An object of JSON in each line, its members are the fields.
  case jsonl
  /// One text in each line.
  case lines

  /// The format that the end of a file's name stands for, or nil.
  public init?(suffixOf path: String) {
    let suffix = path.split(separator: ".").last?.lowercased() ?? ""
    switch suffix {
    case "tsv", "tab": self = .tsv
    case "csv": self = .csv
    case "jsonl", "ndjson": self = .jsonl
    default: return nil
    }
  }
}

/// Files that people have in the place of a table, by how they begin.
enum ForeignTable {
  /// Refuses what is known to be something else.
  ///
  /// - Throws: `malformed`.
  static func refuse(_ start: ArraySlice<UInt8>) throws(DiffError) {
    let all = WrappedFile.signatures + signatures
    guard let known = all.first(where: { start.starts(with: $0.signature) }) else { return }
    throw DiffError(.malformed, "is " + known.what)
  }

  private static let text = "; save it as CSV, TSV or JSON Lines in UTF-8"
  private static let signatures: [(signature: [UInt8], what: String)] = [
    (Array("PAR1".utf8), "a Parquet file, which is not read" + text),
    (Array("ARROW1".utf8), "an Arrow file, which is not read" + text),
    (
      Array("PK\u{3}\u{4}".utf8),
      "an Excel workbook or another ZIP archive, which is not read" + text
    ),
    ([0xD0, 0xCF, 0x11, 0xE0], "an old Excel workbook, which is not read" + text),
    (Array("SQLite format 3".utf8), "a database of SQLite, which is not read" + text),
    ([0xFF, 0xFE], "text in UTF-16, which is not read" + text),
    ([0xFE, 0xFF], "text in UTF-16, which is not read" + text),
    ([0x00, 0x00, 0xFE, 0xFF], "text in UTF-32, which is not read" + text),
  ]
}
