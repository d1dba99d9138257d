import CHDF5
import Checkpoints
import Platform
import TensorCore

/// libhdf5 as a whole: its lock, its settings, its errors.
enum HDF5Library {
  /// Keeps other threads out of the library, which is not thread-safe, until `unlock`. May nest,
  /// so that whatever closes a handle can lock without knowing who called it.
  static func lock() {
    unsafe pthread_mutex_lock(mutex)
    _ = settings
    // No printing of errors: in thread-safe builds this is a setting of each thread.
    _ = H5Eset_auto2(dk_H5E_DEFAULT, nil, nil)
  }

  static func unlock() { unsafe pthread_mutex_unlock(mutex) }

  private nonisolated(unsafe) static let mutex: UnsafeMutablePointer<pthread_mutex_t> = {
    let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    var attributes = pthread_mutexattr_t()
    unsafe pthread_mutexattr_init(&attributes)
    unsafe pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
    unsafe pthread_mutex_init(mutex, &attributes)
    return unsafe mutex
  }()

  /// Made once, before the first call: no plugins, which the environment could otherwise slip
  /// into this process.
  private static let settings: Void = { H5PLset_loading_state(0) }()

  /// The error that the last call left, as one line. To be asked before any other call.
  static func error(
    _ code: DiffError.Code, _ what: String
  ) -> DiffError {
    let walked = Descriptions()
    unsafe H5Ewalk2(
      dk_H5E_DEFAULT, H5E_WALK_UPWARD,
      { _, entry, context in
        guard let context = unsafe context, let text = unsafe entry?.pointee.desc else { return 0 }
        let walked = unsafe Unmanaged<Descriptions>.fromOpaque(context).takeUnretainedValue()
        unsafe walked.lines.append(String(cString: text))
        return 0
      }, Unmanaged.passUnretained(walked).toOpaque())
    // The innermost description is the cause; the others repeat what was asked for.
    guard let cause = walked.lines.first else { return DiffError(code, what) }
    return DiffError(code, "\(what): \(cause)")
  }

  private final class Descriptions { var lines: [String] = [] }
}
