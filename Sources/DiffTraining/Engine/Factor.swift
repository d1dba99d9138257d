/// What may be multiplied with a packed matrix, which must have been packed for it.
protocol Factor {
  var rows: Int { get }
  var columns: Int { get }
  var stride: Int { get }
  var start: UnsafeRawPointer { get }
  func rows(_ range: Range<Int>) -> Self
}

extension FloatMatrix: Factor {
  var start: UnsafeRawPointer { unsafe UnsafeRawPointer(pointer) }
}

extension HalfMatrix: Factor {
  var start: UnsafeRawPointer { unsafe UnsafeRawPointer(pointer) }
}
