import SystemSupport
import TensorCore

extension TaskData {
  /// Reads a table of texts and labels: TSV, CSV or JSON Lines.
  ///
  /// - Throws: `io`; `malformed` with the number of the line; `usage` if the options do not fit.
  /// - Complexity: O(bytes), a small multiple of the file in memory.
  public init(table path: String, _ options: TableOptions = TableOptions()) throws(DiffError) {
    var reader = try TableReader(path, format: options.format)
    do { try self.init(&reader, options) } catch { throw error.at(path: path) }
  }

  /// Reads a table from the contents of a file.
  public init(
    table bytes: [UInt8], _ options: TableOptions = TableOptions()
  ) throws(DiffError) {
    var reader = try TableReader(ByteStream(bytes), options.format ?? .tsv)
    do { try self.init(&reader, options) } catch {
      // The name of the stream is not that of a file.
      var error = error
      error.path = nil
      throw error
    }
  }

  private init(_ reader: inout TableReader, _ options: TableOptions) throws(DiffError) {
    var table = try TableText(&reader)
    var header = (isThere: true, why: "JSON names its members")
    if table.names == nil {
      let found = TableHeader(table.firstRows(TableHeader.sampleSize), options)
      header = (found.isThere, found.why)
      if found.isThere { table.takeHeader() }
    }
    guard table.count > 0 else { throw DiffError(.malformed, "no rows after the header") }
    let columns = try TableColumns(
      options, width: table.width, names: table.names,
      label: options.isLabelled ? table.width - 1 : nil, holdsIDs: { table.holdsIDs($0) })
    var labels: [String]?
    var notes = table.notes
    if options.kind == nil {
      let isChosen = options.texts != nil
      for column in columns.texts { notes += try table.doubts(texts: column, isChosen: isChosen) }
    }
    if options.isLabelled, let column = columns.label {
      labels = try table.labels(column)
      if options.kind == nil, let labels {
        notes += try table.doubts(labels: labels, column, isChosen: options.label != nil)
      }
    }
    let (kind, why) = try Self.kind(of: labels, table, options)
    let targets = try Self.targets(labels, table, kind)

    rows = []
    rows.reserveCapacity(table.count)
    var stream = XXH3Stream()
    for row in 0..<table.count {
      var fields: [String] = []
      for column in columns.texts { fields.append(try table.text(row, column)) }
      rows.append(
        TaskRow(
          fields[0], fields.count > 1 ? fields[1] : nil, target: targets?[row] ?? .none))
      if let labels { fields.append(labels[row]) }
      let line = fields.map(\.oneLine).joined(separator: "\t") + "\n"
      stream.update(Array(line.utf8).span)
    }
    fingerprint = stream.digest
    let isPair = columns.texts.count > 1
    let what = isPair ? rows.count.counted("pair") + " of texts" : rows.count.counted("text")
    let empty = rows.count { $0.first.isEmpty || $0.second?.isEmpty == true }
    if empty > 0 { notes.append(empty == 1 ? "1 text is empty" : "\(empty) texts are empty") }
    var balance: ClassBalance?
    if options.kind == nil, case .classification(let labels) = kind, let targets {
      balance = ClassBalance(labels, targets)
    }
    description = TaskDescription(
      kind: kind, isPair: isPair,
      summary: "\(what), \(why); \(header.why)\(table.choice(columns))",
      balance: balance?.summary, notes: notes + (balance?.notes(table.line) ?? []))
  }

  /// Returns the number in a field; hexadecimal digits are those of an id.
  static func number(_ text: some StringProtocol) -> Double? {
    guard let value = Double(text), value.isFinite,
      !text.contains(where: { $0 == "x" || $0 == "X" })
    else { return nil }
    return value
  }

  /// Returns the kind of the labels, and the reason.
  private static func kind(
    of labels: [String]?, _ table: TableText, _ options: TableOptions
  ) throws(DiffError) -> (TaskDescription.Kind, why: String) {
    if let kind = options.kind {
      let what =
        switch kind {
        case .classification(let labels): "classification into \(labels.count) classes"
        case .regression: "regression"
        case .spans: "spans"
        }
      if kind == .spans {
        throw DiffError(.usage, "answers in contexts are read from JSON, not from a table")
      }
      return (kind, what + ", as specified")
    }
    guard let labels else {
      throw DiffError(.usage, "the table has no labels: specify the kind of the task")
    }
    let distinct = Set(labels)
    let numbers = distinct.compactMap { number($0) }
    try refuseMissing(labels, table, areNumbers: !numbers.isEmpty)
    let allNumbers = numbers.count == distinct.count
    let isWhole = allNumbers && numbers.allSatisfy { $0 == $0.rounded() }
    if allNumbers && (!isWhole || distinct.count > mostClasses) {
      let why = isWhole ? "of many values" : "some with fractions"
      return (.regression, "regression, since all labels are numbers, \(why)")
    }
    guard distinct.count > 1 else {
      throw DiffError(
        .malformed, "all labels are '\(labels.first ?? "")': there is nothing to learn")
    }
    let sorted =
      isWhole
      ? distinct.sorted { (number($0) ?? 0, $0) < (number($1) ?? 0, $1) }
      : distinct.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    // A few rows may well have a class each.
    guard distinct.count <= max(mostClasses, labels.count / 4),
      distinct.count < 5 || distinct.count * 10 < labels.count * 9
    else {
      throw DiffError(
        .malformed, "\(distinct.count) labels in \(labels.count) rows", remedy: .labelColumn)
    }
    let shown = sorted.prefix(6).joined(separator: ", ") + (sorted.count > 6 ? ", …" : "")
    return (
      .classification(labels: sorted), "classification, since the labels are: \(shown)"
    )
  }

  /// Throws for the markers that programs write for missing numbers, if all other labels are
  /// numbers.
  private static func refuseMissing(
    _ labels: [String], _ table: TableText, areNumbers: Bool
  ) throws(DiffError) {
    guard areNumbers, labels.allSatisfy({ number($0) != nil || isMissing($0) }),
      let row = labels.firstIndex(where: isMissing)
    else { return }
    throw TableText.error(
      table.line(row), "has the label '\(labels[row])' among numbers: remove such rows")
  }

  private static func isMissing(_ label: String) -> Bool {
    ["nan", "na", "n/a", "<na>", "null", "none", "-", "?", "inf", "-inf", "infinity", "-infinity"]
      .contains(label.lowercased())
  }

  /// The maximum number of different numbers that are taken as classes.
  fileprivate static let mostClasses = 20

  private static func targets(
    _ labels: [String]?, _ table: TableText, _ kind: TaskDescription.Kind
  ) throws(DiffError) -> [Target]? {
    guard let labels else { return nil }
    var targets: [Target] = []
    targets.reserveCapacity(labels.count)
    switch kind {
    case .classification(let names):
      let numbers = Dictionary(
        zip(names, names.indices), uniquingKeysWith: { first, _ in first })
      for (row, label) in labels.enumerated() {
        guard let number = numbers[label] else {
          throw TableText.error(
            table.line(row),
            "has label '\(label)', which is not one of: \(names.joined(separator: ", "))")
        }
        targets.append(.label(number))
      }
    case .regression, .spans:
      for (row, label) in labels.enumerated() {
        guard let number = Self.number(label), Float(number).isFinite else {
          throw TableText.error(
            table.line(row), "has label '\(label)' where a number is expected")
        }
        targets.append(.value(Float(number)))
      }
    }
    return targets
  }
}

extension TableText {
  /// Returns the labels, in the order of the rows.
  ///
  /// - Throws: `malformed` with the line of a label that is empty, or differs from another in white
  ///   space only.
  fileprivate func labels(_ column: Int) throws(DiffError) -> [String] {
    var labels: [String] = []
    labels.reserveCapacity(count)
    var seen: [String: (label: String, line: Int)] = [:]
    for row in 0..<count {
      let label = try text(row, column)
      labels.append(label)
      if seen[label]?.label == label { continue }
      let words = label.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      guard !words.isEmpty else { throw Self.error(line(row), "has an empty label") }
      if let other = seen[words], other.label != label {
        throw Self.error(
          line(row),
          "has the label '\(label)', but line \(other.line) has '\(other.label)': they differ in "
            + "white space only")
      }
      seen[words] = (label, line(row))
      seen[label] = (label, line(row))
    }
    return labels
  }

  /// Returns whether a column identifies rows: numbers, words or times, each once.
  ///
  /// - Parameter needsDigits: True if words without a digit may well be texts.
  fileprivate func holdsIDs(_ column: Int, needsDigits: Bool = false) -> Bool {
    guard count > 1 else { return false }
    // Of fewer rows, words follow each other by chance.
    let needsDigits = needsDigits || count < 5
    var seen: Set<String> = []
    for row in 0..<count {
      let text = self[row, column]
      let isID =
        text.utf8.count <= 64 && (!text.contains(where: \.isWhitespace) || text.isTime)
        && (!needsDigits || text.contains(where: \.isNumber))
      guard isID, seen.insert(text).inserted else { return false }
    }
    return true
  }

  /// Returns notes on a column of texts that seems to hold other things.
  ///
  /// - Parameter isChosen: True if the user named the column, which is then never refused.
  /// - Throws: `usage` if it numbers the rows.
  fileprivate func doubts(texts column: Int, isChosen: Bool) throws(DiffError) -> [String] {
    // Of fewer rows, nothing follows.
    guard count > 4 else { return [] }
    let (areIDs, name) = (holdsIDs(column, needsDigits: true), self.name(column))
    guard (0..<count).allSatisfy({ Double(self[$0, column]) != nil }) else {
      return areIDs ? ["each text in \(name) is one word with digits: are these ids?"] : []
    }
    guard !areIDs || isChosen else {
      throw DiffError(
        .usage, "\(name) has another number in each row: these are no texts", remedy: .textColumn)
    }
    return ["all texts in \(name) are numbers: is it the column of the text?"]
  }

  /// Returns notes on numbers that seem to be no labels.
  ///
  /// - Parameter isChosen: True if the user named the column, which is then never refused.
  /// - Throws: `usage` if they number the rows, or the column has the name of one that does.
  fileprivate func doubts(
    labels: [String], _ column: Int, isChosen: Bool
  ) throws(DiffError) -> [String] {
    let numbers = labels.compactMap { Int($0) }
    // A few rows may stand there twice.
    guard numbers.count == labels.count, count > TaskData.mostClasses,
      Set(numbers).count * 10 >= count * 9
    else { return [] }
    let ascend = zip(numbers, numbers.dropFirst()).allSatisfy(<=)
    let areDense = Double(numbers[count - 1]) - Double(numbers[0]) < Double(2 * count)
    let isNamed = names.map { ColumnNames.ids.contains($0[column].lowercased()) } ?? false
    let what =
      "\(name(column)) has another whole number in "
      + (Set(numbers).count == count ? "each row" : "nearly each row")
    guard isChosen || !isNamed && !(ascend && areDense) else {
      throw DiffError(.usage, "\(what), as ids are: these are no labels", remedy: .labelColumn)
    }
    return ["\(what): are these ids, not the values of a regression?"]
  }

  /// Returns the name of a column in messages.
  private func name(_ column: Int) -> String {
    names.map { "'\($0[column])'" } ?? "column \(column + 1)"
  }

  /// Returns a description of the chosen columns; empty if there was no choice.
  fileprivate func choice(_ columns: TableColumns) -> String {
    guard width > columns.texts.count + (columns.label == nil ? 0 : 1) || names != nil else {
      return ""
    }
    let texts = columns.texts.map(name).joined(separator: " and ")
    return "; text \(texts)" + (columns.label.map { ", label \(name($0))" } ?? "")
  }
}

extension ColumnNames {
  /// Returns the first common name in a row that names columns: none of its fields is a number, and
  /// one is a common name. Nil for other rows.
  static func named(by row: [String]) -> String? {
    guard row.count > 1, row.allSatisfy({ Double($0) == nil }) else { return nil }
    return row.first(where: isKnown)
  }
}

extension String {
  /// True of `2024-01-03 10:02` and the like.
  fileprivate var isTime: Bool {
    contains(where: \.isNumber) && allSatisfy { $0.isNumber || "-:./ TZ+".contains($0) }
  }

  /// The text as a field of TSV: quoted if it contains a tab or a line feed.
  fileprivate var oneLine: String {
    guard utf8.contains(where: { $0 == 0x09 || $0 == 0x0A }) else { return self }
    return "\"" + split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }
}
