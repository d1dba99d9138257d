import Kernels
import TensorCore

/// The positions of a page: offsets from its first change, ascending, the first one 0 and the
/// last one span − 1.
struct PagePositions {
  let start, span: UInt64
  let count: Int
  let grid: Grid

  // MARK: The grid that columns and panels are defined on

  /// The column of the first change. An offset plus this column is a row-major index into the grid
  /// of the rows that the page overlaps.
  private var firstColumn: UInt32 { UInt32(start % grid.rowLength) }

  /// The number of rows and columns of that grid, or nil if only the order of rows is possible.
  private var lines: (rows: UInt32, columns: UInt32)? {
    let rows = (start + span - 1) / grid.rowLength - start / grid.rowLength + 1
    let (elements, overflow) = rows.multipliedReportingOverflow(by: grid.rowLength)
    guard rows > 1, grid.rowLength > 1, !overflow, elements <= UInt32.max else { return nil }
    return (UInt32(rows), UInt32(grid.rowLength))
  }

  // MARK: Encoding

  /// A way to store the positions.
  struct Choice {
    var traversal = Traversal.rows
    var coding: PositionCoding
    var size: Int
    /// The gaps of the indices in the order of the traversal.
    var gaps: [UInt32]
    /// The parameters of the Rice code.
    var parameters = SplitRice.Parameters()
    var order: PanelOrder?
  }

  /// Returns the smallest choice, or with `fast` the one that decodes fastest.
  func choose(_ offsets: [UInt32], fast: Bool) -> Choice {
    if UInt64(count) == span { return Choice(coding: .dense, size: 0, gaps: []) }
    var best = smallest(Kernels.gaps(offsets.span), fast: fast)
    let bitmapSize = Int(min((span + 7) / 8, UInt64(Int32.max)))
    if bitmapSize < best.size {
      best = Choice(coding: .bitmap, size: bitmapSize, gaps: [])
    }
    if !fast, count >= 2 * blockLength, let lines {
      for candidate in clustered(offsets, lines) where candidate.size < best.size {
        best = candidate
      }
    }
    return best
  }

  private func smallest(_ gaps: [UInt32], fast: Bool) -> Choice {
    let binary = BinaryPacking.size(gaps.span)
    if !fast {
      let (parameters, size) = SplitRice.plan(gaps.span)
      if size <= binary {
        return Choice(coding: .splitRice, size: size, gaps: gaps, parameters: parameters)
      }
    }
    return Choice(coding: .bp128, size: binary, gaps: gaps)
  }

  /// The maximum number of rows for which changes are counted by row.
  private static let rowLimit: UInt32 = 1 << 20

  /// Returns choices that exploit hot rows or columns, if there are any.
  private func clustered(_ offsets: [UInt32], _ lines: (rows: UInt32, columns: UInt32)) -> [Choice]
  {
    guard lines.columns <= PanelOrder.columnLimit, lines.rows <= Self.rowLimit else { return [] }
    let (rowCounts, columnCounts) = Kernels.countLines(
      offsets.span, shift: firstColumn, rows: Int(lines.rows), columns: Int(lines.columns))
    let rows = HotLines.choose(counts: rowCounts, lineLength: UInt64(lines.columns))
    let columns = HotLines.choose(counts: columnCounts, lineLength: UInt64(lines.rows))
    // A gain of less than a twentieth of a bit per change is not worth the slower decoding.
    guard rows.gain + columns.gain > 0.05 * Double(count) else { return [] }
    let order = PanelOrder(
      rows: lines.rows, columns: lines.columns, hotRows: rows.lines, hotColumns: columns.lines)
    let firstColumn = firstColumn
    let indices = offsets.map { $0 &+ firstColumn }
    var panelIndices = indices
    order.permute(&panelIndices)
    var choices = [smallest(Kernels.gaps(panelIndices.span), fast: false)]
    choices[0].traversal = .panels
    choices[0].order = order
    choices[0].size += order.size
    if columns.gain > rows.gain {
      var columnIndices = indices.map { index in
        let (row, column) = index.quotientAndRemainder(dividingBy: lines.columns)
        return column * lines.rows + row
      }
      columnIndices.sort()
      choices.append(smallest(Kernels.gaps(columnIndices.span), fast: false))
      choices[1].traversal = .columns
    }
    return choices
  }

  /// Appends the code of the positions in the encoding of `choice`.
  func encode(_ choice: Choice, _ offsets: [UInt32], into bytes: inout [UInt8]) {
    choice.order?.encode(into: &bytes)
    switch choice.coding {
    case .dense: break
    case .splitRice: SplitRice.encode(choice.gaps.span, choice.parameters, into: &bytes)
    case .bp128: BinaryPacking.encode(choice.gaps.span, into: &bytes)
    case .bitmap: bytes += Kernels.bitmap(offsets.span, count: Int(span))
    }
  }

  // MARK: Decoding

  /// Fills `offsets` from exactly `range` of `bytes`; `scratch` has the same size.
  func decode(
    _ traversal: Traversal, _ coding: PositionCoding, from bytes: [UInt8], in range: Range<Int>,
    into offsets: inout MutableSpan<UInt32>, scratch: inout MutableSpan<UInt32>
  ) throws(DiffError) {
    let first = range.lowerBound
    var at = first
    var order: PanelOrder?
    if traversal != .rows {
      guard let lines, coding == .splitRice || coding == .bp128 else {
        throw .inPage("\(traversal) are not possible for this page", at: first)
      }
      if traversal == .panels {
        order = try PanelOrder(lines, bytes, &at, end: range.upperBound, scratch: &scratch)
      }
    }
    switch coding {
    case .dense:
      guard range.isEmpty, UInt64(count) == span else {
        throw .inPage("a dense page with gaps", at: first)
      }
      for i in 0..<count { offsets[i] = UInt32(i) }
      return
    case .splitRice:
      try SplitRice.decode(bytes, at..<range.upperBound, into: &offsets, scratch: &scratch)
    case .bp128:
      try BinaryPacking.decode(bytes, at..<range.upperBound, into: &offsets)
    case .bitmap:
      try decodeBitmap(bytes, range, into: &offsets)
    }
    if traversal != .rows, let lines {
      try restore(&offsets, from: order, lines, scratch: &scratch, at: first)
    }
    guard UInt64(count) < span, offsets[0] == 0, UInt64(offsets[count - 1]) == span - 1 else {
      throw .inPage("positions that do not fill the page's span", at: first)
    }
  }

  private func decodeBitmap(
    _ bytes: [UInt8], _ range: Range<Int>, into offsets: inout MutableSpan<UInt32>
  ) throws(DiffError) {
    guard UInt64(range.count) == (span + 7) / 8,
      Kernels.selectOnes(bytes.span.extracting(range), into: &offsets) == count
    else { throw .inPage("the bitmap does not hold one bit per change", at: range.lowerBound) }
  }

  /// Converts indices in the order of the traversal to ascending offsets.
  private func restore(
    _ offsets: inout MutableSpan<UInt32>, from order: PanelOrder?,
    _ lines: (rows: UInt32, columns: UInt32), scratch: inout MutableSpan<UInt32>, at byte: Int
  ) throws(DiffError) {
    guard UInt64(offsets[count - 1]) < UInt64(lines.rows) * UInt64(lines.columns) else {
      throw .inPage("an index outside of the page's rows", at: byte)
    }
    if let order {
      order.restore(&offsets)
    } else {
      for i in 0..<count {
        let (column, row) = offsets[i].quotientAndRemainder(dividingBy: lines.rows)
        offsets[i] = row * lines.columns + column
      }
    }
    Kernels.sort(&offsets, scratch: &scratch)
    let firstColumn = firstColumn
    guard offsets[0] == firstColumn else {
      throw .inPage("positions that do not fill the page's span", at: byte)
    }
    for i in 0..<count { offsets[i] -= firstColumn }
  }
}
