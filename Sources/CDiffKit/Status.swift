import CDiffKitHeader
import Platform
import TensorCore

/// Calls `body` and turns what it throws into a status and this thread's text.
func status(_ body: () throws(DiffError) -> CInt) -> CInt {
  do throws(DiffError) { return try body() } catch {
    ErrorText.set(error.description)
    return error.status
  }
}

extension DiffError {
  fileprivate var status: CInt {
    switch code {
    case .usage: DIFFKIT_ARGUMENT
    case .io: DIFFKIT_IO
    case .wrongBase, .mismatch, .partlyApplied: DIFFKIT_WRONG_BASE
    case .notADiff, .textMode, .truncated, .checksum, .malformed, .limit: DIFFKIT_DAMAGED
    default: DIFFKIT_UNSUPPORTED
    }
  }
}

/// The text of the last error of each thread.
enum ErrorText {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    unsafe pthread_key_create(&key) { unsafe free($0) }
    return key
  }()

  nonisolated(unsafe) private static let none = unsafe strdup("")

  static func set(_ text: String) {
    unsafe free(pthread_getspecific(key))
    unsafe pthread_setspecific(key, strdup(text))
  }

  static var current: UnsafePointer<CChar>? {
    guard let text = unsafe pthread_getspecific(key) else { return unsafe UnsafePointer(none) }
    return unsafe UnsafePointer(text.assumingMemoryBound(to: CChar.self))
  }

  /// Never changed, never freed.
  nonisolated(unsafe) static let version = unsafe strdup("0.1.0")
}
