import TensorCore

/// The decision whether the first row of a table names its columns.
struct TableHeader {
  /// True if it does.
  let isThere: Bool
  /// The reason, for people.
  let why: String

  private init(_ isThere: Bool, _ why: String) { (self.isThere, self.why) = (isThere, why) }

  /// The maximum number of rows that are compared with the first one.
  static let sampleSize = 1000

  /// Decides by the options, or by the names in the first row, or by its difference from the others.
  ///
  /// - Parameters:
  ///   - rows: The first rows of the table, at least one.
  ///   - options: The options for reading the table.
  ///   - labels: The labels of the task, if they are known.
  /// - Complexity: O(fields).
  init(_ rows: [[String]], _ options: TableOptions, labels: [String] = []) {
    let (first, others) = (rows[0], rows.dropFirst())
    if let specified = options.hasHeader {
      self.init(specified, specified ? "a header, as specified" : "no header, as specified")
    } else if options.namesColumns {
      self.init(true, "a header, since columns are named")
    } else if let why = Self.contrast(first, others, options, labels) {
      self.init(true, "a header, since \(why)")
    } else {
      self.init(
        false,
        options.isLabelled
          ? "no header, since line 1 has a label like the others"
          : "no header, since none was specified")
    }
  }

  /// Returns how the first row differs from one with texts and a label; nil if it does not.
  private static func contrast(
    _ first: [String], _ others: ArraySlice<[String]>, _ options: TableOptions, _ labels: [String]
  ) -> String? {
    func isNumberBelow(_ column: Int) -> Bool {
      others.count > 1 && first[column] != "" && TaskData.number(first[column]) == nil
        && others.allSatisfy { TaskData.number($0[column]) != nil }
    }
    let label = options.labelIndex(width: first.count)
    if options.isLabelled, first.indices.contains(label), isNumberBelow(label) {
      return "all labels but '\(first[label])' in line 1 are numbers"
    }
    let usual = options.usual.texts
    if !usual.isEmpty, usual.allSatisfy(first.contains) {
      return "line 1 has the names of the training columns"
    }
    if let name = ColumnNames.named(by: first) ?? first.onlyTextName {
      return "line 1 has the name of a column, '\(name)'"
    }
    if let column = first.indices.first(where: isNumberBelow) {
      return "column \(column + 1) has numbers below '\(first[column])' in line 1"
    }
    guard others.count >= 5, first.indices.contains(label),
      first.indices.contains(where: { isWordAboveTexts($0, first, others) })
    else { return nil }
    let below = others.map { $0[label] }
    let known = Set(labels)
    // Classes of five rows each, or those of the task, and one that is in line 1 alone.
    let areClasses =
      known.isEmpty
      ? options.isLabelled && Set(below).count * 5 <= below.count
      : below.allSatisfy(known.contains)
    guard areClasses, !below.contains(first[label]), !known.contains(first[label]) else {
      return nil
    }
    return "'\(first[label])' in line 1 is no label of another row"
  }

  /// Returns whether a column has texts of several words below a word.
  private static func isWordAboveTexts(
    _ column: Int, _ first: [String], _ others: ArraySlice<[String]>
  ) -> Bool {
    !first[column].contains(" ")
      && others.count { $0[column].contains(" ") } * 5 >= others.count * 4
  }
}

extension [String] {
  /// The field of a row of one field, if it is a common name for texts.
  fileprivate var onlyTextName: String? {
    count == 1 && ColumnNames.texts.contains(self[0].lowercased()) ? self[0] : nil
  }
}

extension TableOptions {
  /// True if a column is specified by its name.
  fileprivate var namesColumns: Bool {
    ((texts ?? []) + [label].compactMap(\.self)).contains {
      if case .name = $0 { true } else { false }
    }
  }

  /// Returns the index of the column of the label, before names are known.
  fileprivate func labelIndex(width: Int) -> Int {
    if case .number(let number) = label { max(0, number) - 1 } else { width - 1 }
  }
}
