import TensorCore

extension TensorName.Key {
  /// The name with another separator throughout: '.' or '/'.
  package func spelled(with separator: UInt8) -> TensorName {
    TensorName(
      String(decoding: utf8.map { $0 == UInt8(ascii: "/") ? separator : $0 }, as: UTF8.self))
  }
}
