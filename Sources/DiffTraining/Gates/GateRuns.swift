import Algorithms

/// A run of gated parameters that a kernel processes in one call: neighbours of one group, or whole
/// rows if groups consist of columns.
struct GateRun {
  /// The index of the buffers: 0 for the parameters, i + 1 for the unseen rows of table i.
  var buffers = 0
  /// The first element, the number of elements in a row, and the number of rows.
  var start: Int
  var count: Int
  var rows = 1
  /// The first slot; as many as `count` if `varies`.
  var slot: Int
  var varies = false
  /// The number of equal runs that it represents: the unseen rows of a table.
  var multiplicity = 1
  /// The offset of its sums.
  var place = 0

  var slotCount: Int { varies ? count : 1 }
  var sumCount: Int { 2 + 4 * slotCount }
  /// Returns the elements of one row.
  func range(_ row: Int) -> Range<Int> { start + row * count..<start + (row + 1) * count }

  /// The maximum number of elements in a run: enough for a call, and few enough to use all cores.
  static let room = 1 << 14
}

/// The arrangement of groups in a tensor, and its runs.
struct GateRegion {
  let parameter: ParameterLayout.Parameter
  /// The extents of the tensor as rows, and of a group.
  let rows, columns, boxRows, boxColumns: Int
  /// The slot of the first group, and of the unseen rows.
  let firstSlot, unseenSlot: Int

  /// Adds the tensor's groups to `groups`.
  init(
    _ parameter: ParameterLayout.Parameter, _ grouping: GateGrouping, _ groups: inout GateGroups
  ) {
    self.parameter = parameter
    columns = Int(parameter.shape.rowLength)
    rows = columns == 0 ? 0 : parameter.range.count / columns
    let box = grouping.box(of: parameter) ?? (rows, columns)
    (boxRows, boxColumns) = box
    let across = columns == 0 ? 0 : columns / boxColumns
    if across > 1 {
      firstSlot = groups.append(across, slotsEach: boxColumns)
    } else {
      firstSlot = groups.append(boxRows == 0 ? 0 : rows / boxRows, slotsEach: 1)
    }
    // If each row has a group, the unseen rows share one.
    let isByRow = parameter.isTable && boxRows < rows
    unseenSlot = isByRow ? groups.append(1, slotsEach: 1) : firstSlot
    if isByRow {
      for row in 0..<rows { groups.setMultiplicity(0, slot: firstSlot + row) }
    }
  }

  /// True if groups consist of columns.
  var varies: Bool { boxColumns < columns }

  /// Returns the slot of a row.
  func slot(ofRow row: Int) -> Int { varies ? firstSlot : firstSlot + row / boxRows }

  /// Returns the runs of neighbouring rows.
  func runs(rows range: Range<Int>) -> [GateRun] {
    let start = parameter.range.lowerBound
    if varies {
      let step = max(1, GateRun.room / columns)
      return range.chunks(ofCount: step).map { rows in
        GateRun(
          start: start + rows.lowerBound * columns, count: columns, rows: rows.count,
          slot: firstSlot, varies: true)
      }
    }
    var runs: [GateRun] = []
    var row = range.lowerBound
    while row < range.upperBound {
      let end = min(range.upperBound, (row / boxRows + 1) * boxRows)
      for part in (row * columns..<end * columns).chunks(ofCount: GateRun.room) {
        runs.append(
          GateRun(start: start + part.lowerBound, count: part.count, slot: slot(ofRow: row)))
      }
      row = end
    }
    return runs
  }
}
