import TensorCore

extension DiffError {
  /// Returns the error with a location that `DiffError` has no field for in front of the message.
  func prefixed(_ part: String) -> DiffError {
    var error = self
    error.message = "\(part): \(message)"
    return error
  }
}
