import Platform
import TensorCore

extension DiffError {
  /// An error of the operating system, told by `errno`.
  package static func system(_ what: String, _ path: String) -> DiffError {
    let reason = unsafe String(cString: strerror(errno))
    return DiffError(.io, "\(what): \(reason)", path: path)
  }
}
