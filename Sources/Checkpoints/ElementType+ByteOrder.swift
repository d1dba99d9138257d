import TensorCore

extension ElementType {
  /// Bytes of the numbers whose byte order a file chooses: of a complex element, each half by itself.
  var byteOrderWidth: Int { self == .c64 ? 4 : width }
}
