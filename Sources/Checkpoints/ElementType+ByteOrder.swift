import TensorCore

extension ElementType {
  /// The number of bytes that are swapped together: for complex elements, each half separately.
  var byteOrderWidth: Int { self == .c64 ? 4 : width }
}
