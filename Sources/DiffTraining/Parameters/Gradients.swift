/// The gradients of a model's parameters: a flat buffer of the model's layout, and for every table
/// the rows that are not zero, so that the others need not be cleared, read or updated.
///
/// Models add to it; its owner clears it, and may restrict it to some of the parameters, so that
/// models need not calculate gradients that are not read.
public final class Gradients {
  /// The layout of the buffer.
  public let layout: ParameterLayout
  /// The gradients.
  public let values: FloatBuffer
  /// True for each parameter whose gradient is required; all, until `want` is called.
  public private(set) var isWanted: [Bool]
  /// Called with the index of a parameter whose gradient a tape has completed; see `Tape.pullBack`.
  var onComplete: ((Int) -> Void)?
  private var tables: [Int: TouchedRows] = [:]

  /// Creates gradients of zero.
  public init(_ layout: ParameterLayout) {
    self.layout = layout
    values = FloatBuffer(count: layout.count)
    isWanted = Array(repeating: true, count: layout.parameters.count)
    for (index, parameter) in layout.parameters.enumerated() where parameter.isTable {
      tables[index] = TouchedRows(parameter)
    }
  }

  /// Requires the gradients of these parameters only, from now on.
  ///
  /// - Parameter indices: Their indices in `layout.parameters`.
  public func want(only indices: [Int]) {
    isWanted = Array(repeating: false, count: isWanted.count)
    for index in indices { isWanted[index] = true }
  }

  /// Returns the rows of a table that were touched since `clear`, in the order of the first touch;
  /// nil for a parameter that is not a table.
  ///
  /// - Parameter index: The parameter's index in `layout.parameters`.
  public func touchedRows(of index: Int) -> [Int]? { tables[index]?.rows }

  /// Returns the ranges in which the gradient of a parameter may differ from zero, ascending: the
  /// whole range, or the touched rows of a table, neighbours joined. O(rows log rows).
  public func ranges(of index: Int) -> [Range<Int>] {
    let range = layout.parameters[index].range
    guard let table = tables[index] else { return [range] }
    var ranges: [Range<Int>] = []
    for row in table.rows.sorted() {
      let start = range.lowerBound + row * table.width
      if let last = ranges.last, last.upperBound == start {
        ranges[ranges.count - 1] = last.lowerBound..<start + table.width
      } else {
        ranges.append(start..<start + table.width)
      }
    }
    return ranges
  }

  /// Records that a row of a table is about to be written. A row outside the table is a programming
  /// error.
  public func touch(row: Int, of index: Int) { tables[index]?.touch(row) }

  /// Sets everything that was touched to zero.
  public func clear() {
    for index in layout.parameters.indices {
      for range in ranges(of: index) { values.clear(range) }
      tables[index]?.forget()
    }
  }
}

/// A set of rows that remembers their order.
private struct TouchedRows {
  let width: Int
  private(set) var rows: [Int] = []
  private var isTouched: [Bool]

  init(_ table: ParameterLayout.Parameter) {
    width = Int(table.shape.rowLength)
    isTouched = Array(repeating: false, count: width == 0 ? 0 : table.range.count / width)
  }

  mutating func touch(_ row: Int) {
    guard !isTouched[row] else { return }
    isTouched[row] = true
    rows.append(row)
  }

  mutating func forget() {
    for row in rows { isTouched[row] = false }
    rows.removeAll(keepingCapacity: true)
  }
}
