/// A view of part of a buffer as rows of bf16, two in the memory of a float32; see `FloatMatrix`.
@safe package struct HalfMatrix: Sendable {
  /// The memory of the whole matrix that it is a view of.
  package let memory: FloatMatrix
  private let offset: Int
  /// The number of rows.
  package let rows: Int
  /// The number of elements in a row.
  package let columns: Int
  /// The distance from one row to the next, in elements.
  package var stride: Int { 2 * memory.columns }

  /// Creates a matrix in the memory of a float32 matrix.
  ///
  /// - Parameter memory: Contiguous, with as many rows and at least half as many columns.
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

  /// Returns a view of some of the rows.
  package func rows(_ range: Range<Int>) -> HalfMatrix {
    precondition(range.upperBound <= rows)
    return HalfMatrix(
      memory, at: offset + range.lowerBound * stride, rows: range.count, columns: columns)
  }

  /// Returns a view of some of the columns.
  package func columns(_ range: Range<Int>) -> HalfMatrix {
    precondition(range.upperBound <= columns)
    return HalfMatrix(memory, at: offset + range.lowerBound, rows: rows, columns: range.count)
  }

  /// The first element, for C.
  package var pointer: UnsafeMutablePointer<UInt16> {
    unsafe UnsafeMutableRawPointer(memory.pointer).assumingMemoryBound(to: UInt16.self) + offset
  }
}
