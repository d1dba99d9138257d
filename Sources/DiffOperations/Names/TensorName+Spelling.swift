import TensorCore

extension TensorName.Key {
  /// Returns the name with `separator`, '.' or '/', throughout.
  package func spelled(with separator: UInt8) -> TensorName {
    TensorName(
      String(decoding: utf8.map { $0 == UInt8(ascii: "/") ? separator : $0 }, as: UTF8.self))
  }
}
