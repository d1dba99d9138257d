import CDiffKitHeader
import DiffOperations
import Platform
import TensorCore

/// Calls `body`; turns an error into a status and the error text of this thread.
func status(_ body: () throws(DiffError) -> CInt) -> CInt {
  do throws(DiffError) { return try body() } catch {
    ErrorText.set(error)
    return error.status
  }
}

extension DiffError {
  fileprivate var status: CInt {
    switch code {
    case .usage: DIFFKIT_ARGUMENT
    case .io, .notFound, .denied, .noSpace, .exists, .locked, .changed: DIFFKIT_IO
    case .stopped: DIFFKIT_STOPPED
    case .wrongBase, .mismatch, .partlyApplied: DIFFKIT_WRONG_BASE
    case .notADiff, .textMode, .truncated, .checksum, .malformed, .limit: DIFFKIT_DAMAGED
    default: DIFFKIT_UNSUPPORTED
    }
  }
}

/// The last error of each thread: its code and its text, each ended by a zero byte.
enum ErrorText {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    unsafe pthread_key_create(&key) { unsafe free($0) }
    return key
  }()

  nonisolated(unsafe) private static let none = unsafe strdup("")

  static func set(_ error: DiffError) {
    // Control characters, and so zero bytes, are escaped in both.
    let texts = Array(error.code.description.utf8) + [0] + Array(error.description.utf8) + [0]
    unsafe free(pthread_getspecific(key))
    let copy = unsafe malloc(texts.count)
    unsafe copy?.copyMemory(from: texts, byteCount: texts.count)
    unsafe pthread_setspecific(key, copy)
  }

  static var code: UnsafePointer<CChar>? {
    guard let texts = unsafe pthread_getspecific(key) else { return unsafe UnsafePointer(none) }
    return unsafe UnsafePointer(texts.assumingMemoryBound(to: CChar.self))
  }

  static var text: UnsafePointer<CChar>? {
    unsafe code.map { unsafe $0.pointee == 0 ? $0 : $0 + strlen($0) + 1 }
  }

  /// Never changed, never freed.
  nonisolated(unsafe) static let version = unsafe strdup(DiffKitVersion.current)
}
