import TensorCore

extension ElementType {
  /// The types whose elements are whole bytes: all types of version 1.0 of the format.
  package static let wholeBytes = allCases.filter { $0.unit == 1 }
}
