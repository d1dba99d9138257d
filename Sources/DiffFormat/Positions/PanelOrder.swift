/// A permutation of the elements of a page's grid that groups those that change often: rows and
/// columns are hot or cold, and the four panels (hot × hot, hot × cold, cold × hot, cold × cold)
/// follow one another, each row by row in ascending order.
struct PanelOrder {
  /// The number of rows and columns of the grid.
  let rows, columns: UInt32
  /// The hot rows and columns, ascending.
  let hotRows, hotColumns: [UInt32]

  /// The maximum number of columns, since readers keep a map of them.
  static let columnLimit: UInt32 = 1 << 16

  /// The number of elements of each panel.
  private var sizes: [UInt64] {
    let hot = UInt64(hotRows.count)
    let cold = UInt64(rows) - hot
    let hotWidth = UInt64(hotColumns.count)
    let coldWidth = UInt64(columns) - hotWidth
    return [hot * hotWidth, hot * coldWidth, cold * hotWidth, cold * coldWidth]
  }

  /// Replaces ascending grid indices (row · columns + column) by ascending panel indices.
  func permute(_ indices: inout [UInt32]) {
    // The rank of each column among the hot or the cold ones; hot ones are marked by the upper bit.
    var columnRank = [UInt32](repeating: 0, count: Int(columns))
    var hot = 0
    for column in 0..<Int(columns) {
      if hot < hotColumns.count && hotColumns[hot] == column {
        columnRank[column] = UInt32(hot) | 1 << 31
        hot += 1
      } else {
        columnRank[column] = UInt32(column - hot)
      }
    }
    let sizes = sizes
    var panels: [[UInt32]] = [[], [], [], []]
    var ranks = RankWalk(hot: hotRows)
    for index in indices {
      let (row, column) = index.quotientAndRemainder(dividingBy: columns)
      let (isHotRow, r) = ranks.rank(of: row)
      let code = columnRank[Int(column)]
      let isHotColumn = code >> 31 == 1
      let panel = (isHotRow ? 0 : 2) + (isHotColumn ? 0 : 1)
      let width = isHotColumn ? hotColumns.count : Int(columns) - hotColumns.count
      let first = sizes[..<panel].reduce(0, +)
      let panelIndex = first + UInt64(r) * UInt64(width) + UInt64(code & 0x7FFF_FFFF)
      panels[panel].append(UInt32(panelIndex))
    }
    indices = Array(panels.joined())
  }

  /// Replaces ascending panel indices by grid indices, which are not in order.
  func restore(_ indices: inout MutableSpan<UInt32>) {
    var coldColumns: [UInt16] = []
    var first: UInt64 = 0
    var i = 0
    for (panel, size) in sizes.enumerated() {
      let end = first + size
      var row = panel < 2 ? RowWalk(hot: hotRows) : RowWalk(coldBeside: hotRows)
      let isHotColumn = panel % 2 == 0
      // Only for pages with changes there: a small file may hold many pages without.
      if !isHotColumn, coldColumns.isEmpty, i < indices.count, UInt64(indices[i]) < end {
        coldColumns = makeColdColumns()
      }
      let width = isHotColumn ? UInt32(hotColumns.count) : columns - UInt32(hotColumns.count)
      while i < indices.count && UInt64(indices[i]) < end {
        let (r, c) = UInt32(UInt64(indices[i]) - first).quotientAndRemainder(dividingBy: width)
        let column = isHotColumn ? hotColumns[Int(c)] : UInt32(coldColumns[Int(c)])
        indices[i] = row.row(r) * columns + column
        i += 1
      }
      first = end
    }
  }

  private func makeColdColumns() -> [UInt16] {
    var cold: [UInt16] = []
    cold.reserveCapacity(Int(columns) - hotColumns.count)
    var next = 0
    for column in 0..<columns {
      if next < hotColumns.count && hotColumns[next] == column {
        next += 1
      } else {
        cold.append(UInt16(column))
      }
    }
    return cold
  }
}

/// Finds the rank of a row among the hot or the cold ones, for ascending rows: O(hot) altogether.
private struct RankWalk {
  let hot: [UInt32]
  private var below = 0

  init(hot: [UInt32]) { self.hot = hot }

  mutating func rank(of row: UInt32) -> (isHot: Bool, rank: UInt32) {
    while below < hot.count && hot[below] < row { below += 1 }
    if below < hot.count && hot[below] == row { return (true, UInt32(below)) }
    return (false, row - UInt32(below))
  }
}

/// Finds the row of a rank, for ascending ranks: O(hot) altogether.
private struct RowWalk {
  private let hot: [UInt32]
  private let isHot: Bool
  private var below = 0

  init(hot: [UInt32]) {
    self.hot = hot
    isHot = true
  }

  init(coldBeside hot: [UInt32]) {
    self.hot = hot
    isHot = false
  }

  mutating func row(_ rank: UInt32) -> UInt32 {
    if isHot { return hot[Int(rank)] }
    while below < hot.count && hot[below] <= rank + UInt32(below) { below += 1 }
    return rank + UInt32(below)
  }
}
