import TensorCore

extension DiffError {
  /// The same error, its message preceded by a part of a file that `DiffError` has no field for.
  func prefixed(_ part: String) -> DiffError {
    var error = self
    error.message = "\(part): \(message)"
    return error
  }
}
