/// A view of part of a buffer as rows of float32, which holds a reference to the buffer.
///
/// Threads may use distinct parts of a buffer concurrently; callers must ensure that the parts do
/// not overlap.
@safe public struct FloatMatrix: Sendable {
  /// The buffer that holds the elements.
  public let buffer: FloatBuffer
  /// The index of the first element in the buffer.
  public let offset: Int
  /// The number of rows.
  public let rows: Int
  /// The number of elements in a row.
  public let columns: Int
  /// The distance from one row to the next, in elements; at least `columns`.
  public let stride: Int

  /// Creates a view of part of a buffer; one that exceeds the buffer is a programming error.
  public init(_ buffer: FloatBuffer, at offset: Int = 0, rows: Int, columns: Int, stride: Int) {
    precondition(offset >= 0 && rows >= 0 && columns >= 0 && stride >= columns)
    precondition(
      offset + (rows == 0 ? 0 : (rows - 1) * stride + columns) <= buffer.count)
    self.buffer = buffer
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.stride = stride
  }

  /// Creates a view whose rows are contiguous.
  public init(_ buffer: FloatBuffer, at offset: Int = 0, rows: Int, columns: Int) {
    self.init(buffer, at: offset, rows: rows, columns: columns, stride: columns)
  }

  /// The number of elements.
  public var count: Int { rows * columns }

  /// The element of a row and a column.
  public subscript(row: Int, column: Int) -> Float {
    get { unsafe address(row, column).pointee }
    nonmutating set { unsafe address(row, column).pointee = newValue }
  }

  /// Returns a view of some of the rows.
  public func rows(_ range: Range<Int>) -> FloatMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    return FloatMatrix(
      buffer, at: offset + range.lowerBound * stride, rows: range.count, columns: columns,
      stride: stride)
  }

  /// Returns a view of some of the columns.
  public func columns(_ range: Range<Int>) -> FloatMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    return FloatMatrix(
      buffer, at: offset + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// Sets all elements to zero.
  public func clear() {
    for row in 0..<rows { buffer.clear(offset + row * stride..<offset + row * stride + columns) }
  }

  /// The elements, row by row. O(elements).
  public var elements: [Float] {
    (0..<rows).flatMap { row in (0..<columns).map { self[row, $0] } }
  }

  /// True if the rows are contiguous.
  package var isContiguous: Bool { stride == columns || rows <= 1 }

  /// The first element, for C.
  package var pointer: UnsafeMutablePointer<Float> { unsafe buffer.pointer(at: offset) }

  private func address(_ row: Int, _ column: Int) -> UnsafeMutablePointer<Float> {
    precondition(row >= 0 && row < rows && column >= 0 && column < columns)
    return unsafe buffer.pointer(at: offset + row * stride + column)
  }
}
