/// A part of a buffer, seen as rows of bf16, two in the place of a float32: a view like `FloatMatrix`.
@safe package struct HalfMatrix: Sendable {
  /// The whole memory that it was made in.
  package let memory: FloatMatrix
  private let offset: Int
  /// How many rows.
  package let rows: Int
  /// Elements of a row.
  package let columns: Int
  /// From one row to the next, in elements.
  package var stride: Int { 2 * memory.columns }

  /// - Parameter memory: Contiguous; as many rows, half of the columns or more.
  package init(_ memory: FloatMatrix, columns: Int) {
    self.init(memory, at: 0, rows: memory.rows, columns: columns)
  }

  private init(_ memory: FloatMatrix, at offset: Int, rows: Int, columns: Int) {
    precondition(offset >= 0 && rows >= 0 && columns >= 0 && memory.isContiguous)
    precondition(
      rows == 0 || offset + (rows - 1) * 2 * memory.columns + columns <= 2 * memory.count)
    self.memory = memory
    self.offset = offset
    self.rows = rows
    self.columns = columns
  }

  /// Some of the rows.
  package func rows(_ range: Range<Int>) -> HalfMatrix {
    precondition(range.upperBound <= rows)
    return HalfMatrix(
      memory, at: offset + range.lowerBound * stride, rows: range.count, columns: columns)
  }

  /// Some of the columns.
  package func columns(_ range: Range<Int>) -> HalfMatrix {
    precondition(range.upperBound <= columns)
    return HalfMatrix(memory, at: offset + range.lowerBound, rows: rows, columns: range.count)
  }

  /// The first element, for C.
  package var pointer: UnsafeMutablePointer<UInt16> {
    unsafe UnsafeMutableRawPointer(memory.pointer).assumingMemoryBound(to: UInt16.self) + offset
  }
}
