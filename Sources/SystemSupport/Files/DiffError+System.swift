import Platform
import TensorCore

extension DiffError {
  /// Returns the error that the operating system has just reported in `errno`.
  package static func system(_ what: String, _ path: String) -> DiffError {
    let number = lastError()
    let reason = unsafe String(cString: strerror(number))
    return DiffError(Code(errno: number), "\(what): \(reason)", path: path, errno: number)
  }
}

extension DiffError.Code {
  /// The class of an error of the operating system.
  fileprivate init(errno number: Int32) {
    self =
      switch number {
      case ENOENT, ENOTDIR: .notFound
      case EACCES, EPERM, EROFS: .denied
      case ENOSPC, EDQUOT: .noSpace
      case EEXIST: .exists
      default: .io
      }
  }
}

// Inside of `DiffError`, `errno` is its property.
private func lastError() -> Int32 { errno }
