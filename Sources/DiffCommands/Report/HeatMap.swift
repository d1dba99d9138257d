import DiffFormat
import TensorCore

/// The density of changes over the rows and columns of one tensor, in at most
/// `mostRows` × `mostColumns` cells.
struct HeatMap {
  static let mostRows: UInt64 = 48
  static let mostColumns: UInt64 = 96

  let name: TensorName
  let shape: Shape
  /// The numbers of rows and columns of cells.
  let rows, columns: Int
  /// The density in each cell, row by row.
  private(set) var densities: [Double]

  /// Returns the tensor with the most changes in all diffs together, among those of two dimensions
  /// if there are any; nil if there is none.
  static func tensor(ofMostChangesIn diffs: [DiffReader]) -> TensorName? {
    var counts: [TensorName.Key: (name: TensorName, isTable: Bool, changes: UInt64)] = [:]
    for diff in diffs {
      for entry in sparse(diff) {
        let isTable = entry.shape.extents.count == 2
        counts[entry.name.key, default: (entry.name, isTable, 0)].changes += entry.count
      }
    }
    return counts.values.max {
      ($0.isTable ? 1 : 0, $0.changes, $1.name) < ($1.isTable ? 1 : 0, $1.changes, $0.name)
    }?.name
  }

  private static func sparse(_ diff: DiffReader) -> [DiffEntry] {
    diff.filter { entry in
      switch entry.operation {
      case .add, .replace, .xor: entry.shape.count > 0
      case .insert, .delete, .reshape: false
      }
    }
  }

  /// Counts the changes of a tensor; nil if the diff does not change it.
  ///
  /// - Complexity: O(changes of the tensor).
  init?(_ diff: DiffReader, _ name: TensorName) throws(DiffError) {
    let named = diff.entry(named: name)?.name
    guard let entry = Self.sparse(diff).first(where: { $0.name == named }) else { return nil }
    self.name = entry.name
    shape = entry.shape
    let width = max(1, entry.shape.rowLength)
    let height = entry.shape.count / width
    let (rows, columns) = (min(height, Self.mostRows), min(width, Self.mostColumns))
    var counts = [UInt64](repeating: 0, count: Int(rows * columns))
    var pages = diff.pages(of: entry)
    while let changes = try pages.next() {
      for i in 0..<changes.count {
        let position = changes.position(i)
        let row = Self.cell(position / width, of: height, in: rows)
        let column = Self.cell(position % width, of: width, in: columns)
        counts[Int(row * columns + column)] += 1
      }
    }
    (self.rows, self.columns) = (Int(rows), Int(columns))
    densities = counts.enumerated().map { index, count in
      let (row, column) = (UInt64(index) / columns, UInt64(index) % columns)
      let size =
        Self.lines(row, of: height, in: rows) * Self.lines(column, of: width, in: columns)
      return Double(count) / Double(size)
    }
  }

  /// Returns the number of lines per cell; the last cell may have fewer.
  private static func perCell(_ count: UInt64, in cells: UInt64) -> UInt64 {
    (count + cells - 1) / cells
  }

  private static func cell(_ line: UInt64, of count: UInt64, in cells: UInt64) -> UInt64 {
    line / perCell(count, in: cells)
  }

  private static func lines(_ cell: UInt64, of count: UInt64, in cells: UInt64) -> UInt64 {
    let each = perCell(count, in: cells)
    return max(1, min(each, count - min(count, cell * each)))
  }

  /// Returns the map of the same tensor in a diff that does not change it.
  var withoutChanges: HeatMap {
    var map = self
    map.densities = densities.map { _ in 0 }
    return map
  }

  var highest: Double { densities.max() ?? 0 }
}
