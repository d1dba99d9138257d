import DiffOperations

/// The overlap of pairs of diffs, as a table and as JSON.
struct OverlapTable {
  struct Row: Encodable {
    /// The tensor; nil for all tensors together.
    let tensor: String?
    let first, second: String
    let shared, opposite: UInt64
    /// The share of opposite changes in the norm of both.
    let oppositeNorm: Double
  }

  let rows: [Row]

  init(_ overlaps: [DiffOverlap], _ paths: [String]) {
    rows = overlaps.map {
      Row(
        tensor: $0.tensor?.description, first: paths[$0.first], second: paths[$0.second],
        shared: $0.shared, opposite: $0.opposite, oppositeNorm: $0.oppositeNorm)
    }
  }

  /// True if two diffs change an element in opposite directions.
  var hasConflicts: Bool { rows.contains { $0.opposite > 0 } }

  /// The rows with the most conflicts.
  var text: String {
    guard !rows.isEmpty else { return "no position is changed by two of the diffs\n" }
    let most = 20
    var table = TextTable(
      ["tensor", "diff", "and", "shared", "opposite", "of the norm"], rightAligned: [3, 4, 5],
      shrinking: [0, 1, 2])
    let sorted = rows.sorted { ($0.oppositeNorm, $0.shared) > ($1.oppositeNorm, $1.shared) }
    for row in sorted.prefix(most) {
      table.add([
        row.tensor ?? "all", row.first, row.second, row.shared.grouped, row.opposite.grouped,
        row.oppositeNorm.percent,
      ])
    }
    let more = rows.count - most
    return table.text + (more > 0 ? "and \(more) more such lines (--json)\n" : "")
  }
}
