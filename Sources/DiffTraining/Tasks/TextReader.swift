import SystemSupport
import TensorCore

/// Reads the texts that a model is to be asked about, one row after the other: those of a table
/// without its header, ids and labels, or lines.
public struct TextReader {
  /// One line for people: which columns of a table were taken, and why. Empty for lines.
  public let summary: String
  private var reader: TableReader
  private let facts: TaskFacts
  private let columns: TableColumns?
  private let width: Int
  /// The first row of a table, if it is no header.
  private var isFirstWaiting = false

  /// Opens a file; one whose name does not end like a table's has a text in each line.
  ///
  /// - Throws: `io`; `malformed` with the number of the line; `usage` if the columns of the texts
  ///   are not known.
  public init(
    _ path: String, _ facts: TaskFacts, _ options: TableOptions
  ) throws(DiffError) {
    let isTable = options.format != nil || TableFormat(suffixOf: path) != nil
    let format = isTable ? options.format : .lines
    try self.init(TableReader(path, format: format), facts, options)
  }

  /// Texts that this process is sent: lines, unless the options say otherwise.
  public static func standardInput(
    _ facts: TaskFacts, _ options: TableOptions
  ) throws(DiffError) -> TextReader {
    let reader = try TableReader(ByteStream.standardInput, options.format ?? .lines)
    return try TextReader(reader, facts, options)
  }

  private init(
    _ opened: TableReader, _ facts: TaskFacts, _ options: TableOptions
  ) throws(DiffError) {
    self.facts = facts
    var reader = opened
    guard reader.format != .lines, try reader.next() else {
      (self.reader, columns, width, summary) = (reader, nil, 0, "")
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
    let isHeader = Self.isHeader(first, reader, options)
    do throws(DiffError) {
      columns = try TableColumns(
        options, width: first.count, names: isHeader ? first : nil,
        texts: facts.isPair.map { $0 ? 2 : 1 },
        label: isHeader ? nil : Self.labelColumn(of: first, facts),
        holdsIDs: { TextReader.seemsID(first[$0]) })
    } catch { throw error.at(path: reader.name) }
    width = first.count
    isFirstWaiting = reader.names != nil || !isHeader
    let chosen = (columns?.texts ?? []).map { isHeader ? "'\(first[$0])'" : "\($0 + 1)" }
    summary =
      "texts of column " + chosen.joined(separator: " and ")
      + (isHeader ? "; line 1 names the columns" : "; line 1 is a row like the others")
    self.reader = reader
  }

  private static func isHeader(
    _ first: [String], _ reader: TableReader, _ options: TableOptions
  ) -> Bool {
    if reader.names != nil { return true }
    if let told = options.hasHeader { return told }
    let isNamed = ((options.texts ?? []) + [options.label].compactMap(\.self)).contains {
      if case .name = $0 { true } else { false }
    }
    let isUsual = !options.usual.texts.isEmpty && options.usual.texts.allSatisfy(first.contains)
    return isNamed || isUsual || ColumnNames.named(by: first) != nil
      || first.count == 1 && ColumnNames.texts.contains(first[0].lowercased())
  }

  /// The last column, if the row has one of the task's labels there.
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

  /// The next text.
  ///
  /// - Parameter waiting: Whether to read on where it is not there as a whole yet.
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
        throw reader.error("has \(reader.count) columns where line 1 has \(width)")
      }
      let first = try reader.text(columns.texts[0])
      return TaskRow(first, columns.texts.count > 1 ? try reader.text(columns.texts[1]) : nil)
    } catch { throw error.at(path: reader.name) }
  }

  /// One text, or those of a pair, with a tab between them. Where single texts are wanted, a tab
  /// is a character like others.
  private func row(ofLine line: String) throws(DiffError) -> TaskRow {
    let row = TaskRow(line: line, facts)
    guard row.second != nil || facts.isPair != true else {
      throw reader.error("has no tab: two texts are wanted, with a tab between")
    }
    return row
  }
}

extension TaskRow {
  /// The texts of a line: one, or two with a tab between, if the task may have two.
  public init(line: String, _ facts: TaskFacts) {
    let scalars = line.unicodeScalars
    let parts = scalars.split(
      separator: "\t", maxSplits: facts.isPair == false ? 0 : 1, omittingEmptySubsequences: false)
    self.init(String(parts[0]), parts.count > 1 ? String(parts[1]) : nil)
  }
}
