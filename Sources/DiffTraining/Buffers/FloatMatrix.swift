/// A part of a buffer, seen as rows of float32: a view that owns nothing but a reference.
///
/// Threads may use distinct parts of one buffer at the same time; who does so keeps them apart.
@safe public struct FloatMatrix: Sendable {
  /// Where the elements are.
  public let buffer: FloatBuffer
  /// The first element.
  public let offset: Int
  /// How many rows.
  public let rows: Int
  /// Elements of a row.
  public let columns: Int
  /// From one row to the next, in elements; at least `columns`.
  public let stride: Int

  /// A part of a buffer. What does not lie inside of it is an error of the program.
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

  /// A part of a buffer whose rows lie one after the other.
  public init(_ buffer: FloatBuffer, at offset: Int = 0, rows: Int, columns: Int) {
    self.init(buffer, at: offset, rows: rows, columns: columns, stride: columns)
  }

  /// Elements.
  public var count: Int { rows * columns }

  /// An element.
  public subscript(row: Int, column: Int) -> Float {
    get { unsafe address(row, column).pointee }
    nonmutating set { unsafe address(row, column).pointee = newValue }
  }

  /// Some of the rows.
  public func rows(_ range: Range<Int>) -> FloatMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    return FloatMatrix(
      buffer, at: offset + range.lowerBound * stride, rows: range.count, columns: columns,
      stride: stride)
  }

  /// Some of the columns.
  public func columns(_ range: Range<Int>) -> FloatMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    return FloatMatrix(
      buffer, at: offset + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// Makes all elements zero.
  public func clear() {
    for row in 0..<rows { buffer.clear(offset + row * stride..<offset + row * stride + columns) }
  }

  /// The elements, row by row. O(elements).
  public var elements: [Float] {
    (0..<rows).flatMap { row in (0..<columns).map { self[row, $0] } }
  }

  /// Whether the rows lie one after the other.
  package var isContiguous: Bool { stride == columns || rows <= 1 }

  /// The first element, for C.
  package var pointer: UnsafeMutablePointer<Float> { unsafe buffer.pointer(at: offset) }

  private func address(_ row: Int, _ column: Int) -> UnsafeMutablePointer<Float> {
    precondition(row >= 0 && row < rows && column >= 0 && column < columns)
    return unsafe buffer.pointer(at: offset + row * stride + column)
  }
}
