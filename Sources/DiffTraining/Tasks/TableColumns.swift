import TensorCore

/// The columns of a table that are used, counted from 0.
struct TableColumns {
  /// The column of the text, or the two columns of a pair.
  let texts: [Int]
  let label: Int?

  /// Chooses the columns that are specified, else those with the names used in training, else those
  /// with common names in the header, else all.
  ///
  /// - Parameters:
  ///   - width: The number of columns.
  ///   - names: The names in the header, or nil.
  ///   - required: The number of texts; nil for one or two.
  ///   - usual: The column of the label if none is specified or named; nil for none.
  ///   - holdsIDs: Returns whether a column identifies rows, and holds no texts.
  /// - Throws: `usage`.
  init(
    _ options: TableOptions, width: Int, names: [String]?, texts required: Int? = nil,
    label usual: Int?, holdsIDs: (Int) -> Bool
  ) throws(DiffError) {
    let known = (names ?? []).map { $0.lowercased() }
    let trained = options.usual
    var label = try options.label.map { column throws(DiffError) in
      try Self.index(of: column, width, names)
    }
    if label == nil, let name = trained.label { label = names?.firstIndex(of: name) }
    if label == nil {
      let found = known.indices.filter { ColumnNames.labels.contains(known[$0]) }
      label = found.count == 1 ? found[0] : known.firstIndex(of: "label") ?? found.last ?? usual
    }
    self.label = label
    if let columns = options.texts {
      var indices: [Int] = []
      for column in columns { indices.append(try Self.index(of: column, width, names)) }
      texts = indices
    } else {
      let indices = trained.texts.compactMap { names?.firstIndex(of: $0) }
      texts =
        !indices.isEmpty && indices.count == trained.texts.count
        ? indices : Self.found(known, width: width, label: label, required: required)
      if texts.count == 2, indices.isEmpty, names == nil || !isKnown(known),
        let column = texts.first(where: holdsIDs)
      {
        throw DiffError(
          .usage, "column \(column + 1) seems to hold row numbers or ids, not texts",
          remedy: .textColumn)
      }
    }
    guard (1...2).contains(texts.count), texts.count == required ?? texts.count,
      !texts.contains(where: { $0 == label }), Set(texts).count == texts.count
    else {
      let list = names.map { ": " + $0.joined(separator: ", ") } ?? ""
      let need =
        switch required {
        case 1: "one text"
        case 2: "a pair of texts"
        default: "one text or two, and a label in another column"
        }
      throw DiffError(
        .usage,
        "\(width.counted("column"))\(list), of which \(texts.count) would be "
          + "\(texts.count == 1 ? "a text" : "texts"): expected \(need)",
        remedy: .textColumn)
    }
  }

  /// Returns whether the texts have the common names of a pair.
  private func isKnown(_ names: [String]) -> Bool {
    ColumnNames.pairs.contains { $0.0 == names[texts[0]] && $0.1 == names[texts[1]] }
  }

  private static func found(_ names: [String], width: Int, label: Int?, required: Int?) -> [Int] {
    let others = (0..<width).filter {
      $0 != label && !(names.indices.contains($0) && ColumnNames.ids.contains(names[$0]))
    }
    func index(of name: String) -> Int? {
      others.first { names.indices.contains($0) && names[$0] == name }
    }
    if required != 1 {
      for (first, second) in ColumnNames.pairs {
        if let one = index(of: first), let other = index(of: second) { return [one, other] }
      }
    }
    let texts = others.filter {
      names.indices.contains($0) && ColumnNames.texts.contains(names[$0])
    }
    return texts.count == 1 && required != 2 ? texts : others
  }

  /// Returns the index of a column.
  ///
  /// - Throws: `usage` if there is none.
  static func index(
    of column: TableOptions.Column, _ width: Int, _ names: [String]?
  ) throws(DiffError) -> Int {
    switch column {
    case .number(let number):
      guard (1...width).contains(number) else {
        throw DiffError(.usage, "no column \(number): the table has \(width)")
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
}
