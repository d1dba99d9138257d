import TensorCore

/// The numbers of rows of the classes of a table.
struct ClassBalance {
  private let labels: [String]
  /// The rows of each class, and the first of them.
  private var counts, first: [Int]

  init(_ labels: [String], _ targets: [Target]) {
    self.labels = labels
    counts = Array(repeating: 0, count: labels.count)
    first = counts
    for (row, target) in targets.enumerated() {
      guard case .label(let label) = target else { continue }
      if counts[label] == 0 { first[label] = row }
      counts[label] += 1
    }
  }

  /// One line for people: the rows of each class, of many classes the largest ones.
  var summary: String {
    let isLong = labels.count > Self.mostShown
    let order = isLong ? labels.indices.sorted { counts[$0] > counts[$1] } : Array(labels.indices)
    let shown = order.prefix(Self.mostShown)
    let text =
      "rows of each class: "
      + shown.map { "\(labels[$0].abbreviated(to: 40)): \(counts[$0])" }.joined(separator: ", ")
    let rest = order.dropFirst(Self.mostShown)
    guard let most = rest.first, let least = rest.last else { return text }
    return text + ", … (\(rest.count) more with \(counts[most]) to \(counts[least]))"
  }

  /// Notes on classes of a single row among classes of many: the label may be a typing error.
  ///
  /// - Parameter line: Returns the line of a row.
  func notes(_ line: (Int) -> Int) -> [String] {
    let single = labels.indices.filter { counts[$0] == 1 }
    let others = labels.count - single.count
    guard counts.reduce(0, +) - single.count >= 10 * max(1, others) else { return [] }
    var notes = single.prefix(5).map {
      "line \(line(first[$0])) is the only row with the label '\(labels[$0].abbreviated(to: 40))': check that it is "
        + "not a typing error"
    }
    if single.count > 5 {
      notes.append("\((single.count - 5).counted("more label")) of a single row")
    }
    return notes
  }

  /// The number of classes that a line shows.
  private static let mostShown = 12
}

extension Int {
  /// `1 text`, `2 texts`.
  func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
