import TensorCore

extension ElementType {
  /// The types whose elements are whole bytes, which is all that version 1.0 of the format has.
  package static let wholeBytes = allCases.filter { $0.unit == 1 }
}
