import SystemSupport
import TensorCore

/// The format of a table's rows.
public enum TableFormat: String, Sendable, Hashable, CaseIterable, Codable {
  /// Fields separated by tabs, without quoting.
  case tsv
  /// Fields separated by tabs; those with tabs, line breaks or quotes are quoted, as pandas and
  /// spreadsheets write them.
  case quotedTSV = "tsv-quoted"
  /// Fields separated by commas (RFC 4180), or by semicolons as in German spreadsheets.
  case csv
  /// A JSON object on each line, whose members are the fields.
  case jsonl
  /// One text on each line.
  case lines

  /// Creates the format that the suffix of a file's name implies, or nil.
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

/// Files that are mistaken for tables, recognized by their first bytes.
enum ForeignTable {
  /// Checks that a file is not known to be something else.
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
    (Array("SQLite format 3".utf8), "an SQLite database, which is not read" + text),
    ([0xFF, 0xFE], "text in UTF-16, which is not read" + text),
    ([0xFE, 0xFF], "text in UTF-16, which is not read" + text),
    ([0x00, 0x00, 0xFE, 0xFF], "text in UTF-32, which is not read" + text),
  ]
}
