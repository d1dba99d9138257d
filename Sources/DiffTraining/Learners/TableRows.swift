/// The rows of a table that Adam has to move.
///
/// A row without gradient moves on by its momentum, which decays to 0.9^n after n steps: after 200
/// of them to 7e-10, so that all that it would still move is less than 1e-8 of one step, below the
/// precision of a float32 that such steps lead to. From then on the row is idle, until it has a
/// gradient; then its moments are set to what they would be. The lazy variant of others (PyTorch's
/// SparseAdam: no momentum without gradient) would cost less but be another optimizer.
struct TableRows {
  /// The step, counted from 1, in which each row had its last gradient; 0: none yet.
  var lastTouched: [Int32]
  private let start: Int
  private let width: Int

  private static let patience = 200

  init(_ table: ParameterLayout.Parameter) {
    start = table.range.lowerBound
    width = Int(table.shape.rowLength)
    lastTouched = Array(repeating: 0, count: width == 0 ? 0 : table.range.count / width)
  }

  /// Records the rows that have a gradient in a step. `catchUp` is called for those that were idle,
  /// with the number of steps that they missed.
  mutating func wake(
    _ rows: [Int], at step: Int, _ catchUp: (Range<Int>, _ steps: Int) -> Void
  ) {
    for row in rows {
      let missed = step - 1 - Int(lastTouched[row]) - Self.patience
      if lastTouched[row] > 0 && missed > 0 { catchUp(range(row), missed) }
      lastTouched[row] = Int32(clamping: step)
    }
  }

  /// Returns the rows that move in a step, neighbours joined. O(rows).
  func movingRanges(at step: Int) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for (row, last) in lastTouched.enumerated()
    where last > 0 && step - Int(last) <= Self.patience {
      let range = range(row)
      if let last = ranges.last, last.upperBound == range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
      } else {
        ranges.append(range)
      }
    }
    return ranges
  }

  private func range(_ row: Int) -> Range<Int> {
    start + row * width..<start + (row + 1) * width
  }
}
