import StrictJSON
import SystemSupport
import TensorCore

/// A reader of texts for prediction, one row after another: those of a table without its header,
/// ids and labels, or lines.
public struct TextReader {
  /// One line for people: the chosen columns of a table, and the reason. Empty for lines.
  public let summary: String
  /// The names of the columns that are kept.
  public let keptNames: [String]
  /// The values in the kept columns of the row that was returned last.
  package private(set) var kept: [JSONValue] = []
  private let keptColumns: [Int]
  private let keepsAll: Bool
  private var reader: TableReader
  private let facts: TaskFacts
  private let columns: TableColumns?
  private let width: Int
  /// True if the first row of a table, not a header, has not been returned yet.
  private var isFirstWaiting = false

  /// Opens a file; one without the suffix of a table has a text on each line.
  ///
  /// - Throws: `io`; `malformed` with the number of the line; `usage` if the columns of the texts
  ///   cannot be determined.
  public init(
    _ path: String, _ facts: TaskFacts, _ options: TableOptions
  ) throws(DiffError) {
    let format = options.format ?? TableFormat(suffixOf: path)
    if format == .jsonl, options.kept != .none {
      // Any row may have a member to keep that the first one lacks.
      let names = try TableReader.memberNames(of: path)
      try self.init(TableReader(path, members: names), facts, options)
      return
    }
    let reader = try TableReader(path, format: format == nil ? .lines : options.format)
    try self.init(reader, facts, options, sample: reader.nextRows)
  }

  /// Returns a reader of standard input: lines, unless the options specify another format.
  public static func standardInput(
    _ facts: TaskFacts, _ options: TableOptions
  ) throws(DiffError) -> TextReader {
    let reader = try TableReader(ByteStream.standardInput, options.format ?? .lines)
    return try TextReader(reader, facts, options)
  }

  /// - Parameter sample: The first rows of a table, with which the first one is compared.
  private init(
    _ opened: TableReader, _ facts: TaskFacts, _ options: TableOptions, sample: [[String]] = []
  ) throws(DiffError) {
    self.facts = facts
    keepsAll = options.kept == .all
    var reader = opened
    guard reader.format != .lines || options.kept == .none else {
      throw DiffError(
        .usage,
        "is read as lines, which have no columns to keep; name the format of the table, or give "
          + "its file the suffix of one",
        path: reader.name)
    }
    guard reader.format != .lines, try reader.next() else {
      if reader.format == .lines, options.format == nil, try reader.next() {
        try Self.refuseTable(reader, facts)
        isFirstWaiting = true
      }
      (self.reader, columns, width, summary) = (reader, nil, 0, "")
      (keptNames, keptColumns) = ([], [])
      return
    }
    var first: [String] = []
    for column in 0..<reader.count {
      if let name = reader.names?[column] {
        first.append(name)
      } else {
        first.append(try reader.text(column))
      }
    }
    var unlabelled = options
    unlabelled.isLabelled = false
    let rows = sample.isEmpty ? [first] : sample
    let isHeader =
      reader.names != nil || TableHeader(rows, unlabelled, labels: facts.labels).isThere
    // The first row with texts, if it is known.
    let texts = isHeader ? rows.dropFirst().first : first
    do throws(DiffError) {
      columns = try TableColumns(
        options, width: first.count, names: isHeader ? first : nil,
        texts: facts.isPair.map { $0 ? 2 : 1 },
        label: texts.flatMap { Self.labelColumn(of: $0, facts) },
        holdsIDs: { column in texts.map { Self.seemsID($0[column]) } ?? false })
      keptColumns = try Self.columns(
        options.kept, but: columns?.texts ?? [], width: first.count, isHeader ? first : nil)
    } catch { throw error.at(path: reader.name) }
    keptNames = keptColumns.map { isHeader ? first[$0] : "column \($0 + 1)" }
    width = first.count
    isFirstWaiting = reader.names != nil || !isHeader
    let chosen = (columns?.texts ?? []).map { isHeader ? "'\(first[$0])'" : "\($0 + 1)" }
    summary =
      "texts of column " + chosen.joined(separator: " and ")
      + (isHeader ? "; line 1 names the columns" : "; line 1 is not a header")
    self.reader = reader
  }

  /// Returns the columns to keep, each once.
  private static func columns(
    _ kept: TableOptions.Kept, but texts: [Int], width: Int, _ names: [String]?
  ) throws(DiffError) -> [Int] {
    switch kept {
    case .none: return []
    case .all: return (0..<width).filter { !texts.contains($0) }
    case .columns(let words):
      var columns: [Int] = []
      for word in words {
        let isName = names?.contains(word) == true
        for part in isName ? [word[...]] : word.split(separator: ",") {
          let column = TableOptions.Column(String(part.drop { $0 == " " }))
          let index = try TableColumns.index(of: column, width, names)
          if !columns.contains(index) { columns.append(index) }
        }
      }
      return columns
    }
  }

  /// Refuses lines the first of which is a row of a table.
  ///
  /// - Throws: `usage`.
  private static func refuseTable(_ reader: TableReader, _ facts: TaskFacts) throws(DiffError) {
    let line = try reader.text(0)
    let isObject =
      line.hasPrefix("{") && (try? JSONValue(parsing: Array(line.utf8)))?.members != nil
    guard isObject || facts.isPair == false && line.contains("\t") else { return }
    throw DiffError(
      .usage,
      "is read as lines of text, but line 1 \(isObject ? "is a JSON object" : "has a tab")",
      path: reader.name, remedy: .inputFormat)
  }

  /// Returns the last column, if the row has one of the task's labels there.
  private static func labelColumn(of row: [String], _ facts: TaskFacts) -> Int? {
    guard row.count > 1, let last = row.last else { return nil }
    let isLabel =
      switch facts.kind {
      case .classification(let labels): labels.contains(last)
      case .regression: Double(last) != nil
      case .spans: false
      }
    return isLabel ? row.count - 1 : nil
  }

  private static func seemsID(_ text: String) -> Bool {
    text.utf8.count <= 64 && !text.contains(where: \.isWhitespace)
      && text.contains(where: \.isNumber)
  }

  /// Returns the next text, or nil.
  ///
  /// - Parameter waiting: True to read on if the text has not been read completely.
  /// - Throws: `io`; `malformed` with the number of the line.
  public mutating func next(waiting: Bool = true) throws(DiffError) -> TaskRow? {
    if isFirstWaiting {
      isFirstWaiting = false
    } else {
      guard try reader.next(waiting: waiting) else { return nil }
    }
    do throws(DiffError) {
      guard let columns else { return try row(ofLine: reader.text(0)) }
      guard reader.count == width else {
        throw reader.error("has \(reader.count.counted("column")) where line 1 has \(width)")
      }
      if keepsAll, let name = reader.unknownMember {
        throw reader.error(
          "has the member '\(name)', which line 1 lacks; name a file, which is searched for all "
            + "members first")
      }
      kept.removeAll(keepingCapacity: true)
      for column in keptColumns { kept.append(try reader.value(column)) }
      let first = try reader.text(columns.texts[0])
      return TaskRow(first, columns.texts.count > 1 ? try reader.text(columns.texts[1]) : nil)
    } catch { throw error.at(path: reader.name) }
  }

  /// Returns the text of a line, or the two texts of a pair with a tab between them. For single
  /// texts a tab is an ordinary character.
  private func row(ofLine line: String) throws(DiffError) -> TaskRow {
    let row = TaskRow(line: line, facts)
    guard row.second != nil || facts.isPair != true else {
      throw reader.error("has no tab: expected two texts with a tab between them")
    }
    return row
  }
}

extension TaskRow {
  /// Creates a row from a line: one text, or two with a tab between if the task may have two.
  public init(line: String, _ facts: TaskFacts) {
    let scalars = line.unicodeScalars
    let parts = scalars.split(
      separator: "\t", maxSplits: facts.isPair == false ? 0 : 1, omittingEmptySubsequences: false)
    self.init(String(parts[0]), parts.count > 1 ? String(parts[1]) : nil)
  }
}
