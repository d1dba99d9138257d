import SystemSupport
import TensorCore

extension TaskData {
  /// Reads tab-separated values: `text<TAB>label` or `text1<TAB>text2<TAB>label`, without quoting.
  ///
  /// - Throws: `io`; `malformed` with the number of the line; `usage` if the options do not fit.
  /// - Complexity: O(bytes), a small multiple of the file in memory.
  public init(table path: String, _ options: TableOptions = TableOptions()) throws(DiffError) {
    self = try File.parse(path) { bytes throws(DiffError) in
      try TaskData(table: bytes, options)
    }
  }

  /// The same of the contents of a file.
  public init(
    table bytes: [UInt8], _ options: TableOptions = TableOptions()
  ) throws(DiffError) {
    var table = try TableText(bytes)
    let header = Self.findHeader(table, options)
    let names = header.isThere ? table.popHeader().map(String.init) : nil
    guard !table.rows.isEmpty else { throw DiffError(.malformed, "no rows after the header") }
    let columns = try Columns(options, count: table.width, names: names)
    let labels = columns.label.map { column in table.rows.map { String($0[column]) } }
    let (kind, why) = try Self.kind(of: labels, table.lines, options)
    let targets = try Self.targets(labels, table.lines, kind)

    rows = []
    rows.reserveCapacity(table.rows.count)
    var stream = XXH3Stream()
    for (index, fields) in table.rows.enumerated() {
      let texts = columns.texts.map { String(fields[$0]) }
      rows.append(
        TaskRow(
          texts[0], texts.count > 1 ? texts[1] : nil, target: targets?[index] ?? .none))
      let line = (texts + (labels.map { [$0[index]] } ?? [])).joined(separator: "\t") + "\n"
      stream.update(Array(line.utf8).span)
    }
    fingerprint = stream.digest
    let what = columns.texts.count > 1 ? "pairs of texts" : "texts"
    description = TaskDescription(
      kind: kind, isPair: columns.texts.count > 1,
      summary: "\(rows.count) \(what), \(why); \(header.why)", notes: table.notes)
  }

  private static let labelNames: Set<String> = [
    "label", "labels", "class", "category", "target", "score", "rating", "sentiment", "gold",
  ]

  /// Whether line 1 names the columns.
  private static func findHeader(
    _ table: TableText, _ options: TableOptions
  ) -> (isThere: Bool, why: String) {
    if let told = options.hasHeader {
      return (told, told ? "a header, as told" : "no header, as told")
    }
    let isNamed = ((options.texts ?? []) + [options.label].compactMap(\.self)).contains {
      if case .name = $0 { true } else { false }
    }
    if isNamed { return (true, "a header, since columns are named") }
    guard options.isLabelled, let first = table.rows.first else {
      return (false, "no header, since it was not told")
    }
    let column =
      if case .number(let number) = options.label { max(0, number) - 1 } else { table.width - 1 }
    guard first.indices.contains(column) else { return (false, "no header") }
    let name = String(first[column])
    let others = table.rows.dropFirst().map { $0[column] }
    if labelNames.contains(name.lowercased()), !others.contains(first[column]) {
      return (true, "a header, since line 1 calls the last field '\(name)'")
    }
    if number(name) == nil && others.count > 1 && others.allSatisfy({ number($0) != nil }) {
      return (true, "a header, since all labels but '\(name)' in line 1 are numbers")
    }
    return (false, "no header, since line 1 has a label like the others")
  }

  private static func number(_ text: some StringProtocol) -> Double? {
    guard let value = Double(text), value.isFinite else { return nil }
    return value
  }

  /// What labels are, and why.
  private static func kind(
    of labels: [String]?, _ lines: [Int], _ options: TableOptions
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
      return (kind, what + ", as told")
    }
    guard let labels else {
      throw DiffError(.usage, "without labels the kind of the task must be given")
    }
    let distinct = Set(labels)
    let numbers = distinct.compactMap { number($0) }
    let allNumbers = numbers.count == distinct.count
    let isWhole = allNumbers && numbers.allSatisfy { $0 == $0.rounded() }
    if allNumbers && (!isWhole || distinct.count > mostClasses) {
      let why = isWhole ? "of many values" : "some with fractions"
      return (.regression, "regression, since all labels are numbers, \(why)")
    }
    guard distinct.count > 1 else {
      throw DiffError(
        .malformed, "all labels are '\(labels.first ?? "")': there is nothing to be learned")
    }
    let sorted =
      isWhole
      ? distinct.sorted { (number($0) ?? 0, $0) < (number($1) ?? 0, $1) }
      : distinct.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    guard distinct.count <= max(mostClasses, labels.count / 4) else {
      throw DiffError(
        .malformed,
        "\(distinct.count) labels in \(labels.count) rows: is the label in the last "
          + "column, or is another to be named?")
    }
    let shown = sorted.prefix(6).joined(separator: ", ") + (sorted.count > 6 ? ", …" : "")
    return (
      .classification(labels: sorted), "classification, since the labels are: \(shown)"
    )
  }

  /// More values than these are no classes, if they are numbers.
  private static let mostClasses = 20

  private static func targets(
    _ labels: [String]?, _ lines: [Int], _ kind: TaskDescription.Kind
  ) throws(DiffError) -> [Target]? {
    guard let labels else { return nil }
    var targets: [Target] = []
    targets.reserveCapacity(labels.count)
    switch kind {
    case .classification(let names):
      let numbers = Dictionary(
        zip(names, names.indices), uniquingKeysWith: { first, _ in first })
      for (label, line) in zip(labels, lines) {
        guard let number = numbers[label] else {
          throw TableText.error(
            line, "has label '\(label)', which is none of: \(names.joined(separator: ", "))")
        }
        targets.append(.label(number))
      }
    case .regression, .spans:
      for (label, line) in zip(labels, lines) {
        guard let number = Self.number(label), Float(number).isFinite else {
          throw TableText.error(line, "has label '\(label)' where a number is wanted")
        }
        targets.append(.value(Float(number)))
      }
    }
    return targets
  }
}

/// The columns that matter, counted from 0.
private struct Columns {
  let texts: [Int]
  let label: Int?

  init(_ options: TableOptions, count: Int, names: [String]?) throws(DiffError) {
    func place(_ column: TableOptions.Column) throws(DiffError) -> Int {
      switch column {
      case .number(let number):
        guard (1...count).contains(number) else {
          throw DiffError(.usage, "no column \(number): there are \(count)")
        }
        return number - 1
      case .name(let name):
        guard let index = names?.firstIndex(of: name) else {
          let known =
            names.map { ": " + $0.joined(separator: ", ") } ?? ", since there is no header"
          throw DiffError(.usage, "no column '\(name)'\(known)")
        }
        return index
      }
    }
    var label: Int?
    if options.isLabelled { label = try options.label.map(place) ?? count - 1 }
    if let columns = options.texts {
      var places: [Int] = []
      for column in columns { places.append(try place(column)) }
      texts = places
    } else {
      texts = (0..<count).filter { $0 != label }
    }
    self.label = label
    guard (1...2).contains(texts.count), !texts.contains(where: { $0 == label }) else {
      throw DiffError(
        .usage,
        "\(count) columns, of which \(texts.count) would be texts: one text or two and, "
          + "in another column, a label are wanted; name the columns")
    }
  }
}

extension TableText {
  /// How many columns there are.
  fileprivate var width: Int { rows.first?.count ?? 0 }
}
