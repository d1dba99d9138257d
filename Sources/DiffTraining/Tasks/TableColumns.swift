import TensorCore

/// The columns of a table that matter, counted from 0.
struct TableColumns {
  /// One text, or those of a pair.
  let texts: [Int]
  let label: Int?

  /// Those that are named, else those with the names of the training, else those that a header
  /// calls so, else all.
  ///
  /// - Parameters:
  ///   - width: How many there are.
  ///   - names: What the header calls them, or nil.
  ///   - wanted: How many texts there must be; nil: one or two.
  ///   - label: Where the label stands if nothing is said of it; nil: nowhere.
  ///   - holdsIDs: Whether a column tells rows apart, and holds no texts.
  /// - Throws: `usage`.
  init(
    _ options: TableOptions, width: Int, names: [String]?, texts wanted: Int? = nil,
    label usual: Int?, holdsIDs: (Int) -> Bool
  ) throws(DiffError) {
    let known = (names ?? []).map { $0.lowercased() }
    let trained = options.usual
    var label = try options.label.map { column throws(DiffError) in
      try Self.place(column, width, names)
    }
    if label == nil, let name = trained.label { label = names?.firstIndex(of: name) }
    if label == nil {
      let found = known.indices.filter { ColumnNames.labels.contains(known[$0]) }
      label = found.count == 1 ? found[0] : known.firstIndex(of: "label") ?? found.last ?? usual
    }
    self.label = label
    if let columns = options.texts {
      var places: [Int] = []
      for column in columns { places.append(try Self.place(column, width, names)) }
      texts = places
    } else {
      let places = trained.texts.compactMap { names?.firstIndex(of: $0) }
      texts =
        !places.isEmpty && places.count == trained.texts.count
        ? places : Self.found(known, width: width, label: label, wanted: wanted)
      if texts.count == 2, places.isEmpty, holdsIDs(texts[0]), names == nil || !isKnown(known) {
        throw DiffError(
          .usage, "column \(texts[0] + 1) seems to hold numbers or names of rows, not texts",
          remedy: .textColumn)
      }
    }
    guard (1...2).contains(texts.count), texts.count == wanted ?? texts.count,
      !texts.contains(where: { $0 == label }), Set(texts).count == texts.count
    else {
      let list = names.map { ": " + $0.joined(separator: ", ") } ?? ""
      let need =
        switch wanted {
        case 1: "one text is"
        case 2: "a pair of texts is"
        default: "one text or two and, in another column, a label are"
        }
      throw DiffError(
        .usage,
        "\(width) columns\(list), of which \(texts.count) would be texts: \(need) wanted",
        remedy: .textColumn)
    }
  }

  /// Whether the texts have the names of a pair.
  private func isKnown(_ names: [String]) -> Bool {
    ColumnNames.pairs.contains { $0.0 == names[texts[0]] && $0.1 == names[texts[1]] }
  }

  private static func found(_ names: [String], width: Int, label: Int?, wanted: Int?) -> [Int] {
    let others = (0..<width).filter {
      $0 != label && !(names.indices.contains($0) && ColumnNames.ids.contains(names[$0]))
    }
    func place(_ name: String) -> Int? {
      others.first { names.indices.contains($0) && names[$0] == name }
    }
    if wanted != 1 {
      for (first, second) in ColumnNames.pairs {
        if let one = place(first), let other = place(second) { return [one, other] }
      }
    }
    let texts = others.filter {
      names.indices.contains($0) && ColumnNames.texts.contains(names[$0])
    }
    return texts.count == 1 && wanted != 2 ? texts : others
  }

  private static func place(
    _ column: TableOptions.Column, _ width: Int, _ names: [String]?
  ) throws(DiffError) -> Int {
    switch column {
    case .number(let number):
      guard (1...width).contains(number) else {
        throw DiffError(.usage, "no column \(number): there are \(width)")
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
