/// A matrix that can be multiplied with a packed one, which must be packed for its type.
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
