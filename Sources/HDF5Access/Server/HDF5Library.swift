import CHDF5
import Checkpoints
import Platform
import TensorCore

/// The global state of libhdf5: its lock, its settings, its errors.
package enum HDF5Library {
  /// Locks the library, which is not thread-safe, until `unlock`. The lock is recursive, so that
  /// handles can be closed with or without it.
  static func lock() {
    unsafe pthread_mutex_lock(mutex)
    _ = settings
    // Disables printing of errors, which is a setting of each thread in thread-safe builds.
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

  /// Made once, before the first call: disables plugins, which the environment could otherwise load
  /// into this process.
  private static let settings: Void = { H5PLset_loading_state(0) }()

  /// Returns the result of a call whose error value may also be a valid result: zero, an undefined
  /// address, false.
  ///
  /// - Throws: the library's error if the call left one, regardless of its result.
  static func value<Value>(
    _ what: @autoclosure () -> String, _ call: () -> Value
  ) throws(DiffError) -> Value {
    H5Eclear2(dk_H5E_DEFAULT)
    let value = call()
    guard H5Eget_num(dk_H5E_DEFAULT) == 0 else { throw error(.unsupportedCheckpoint, what()) }
    return value
  }

  /// Returns the error that the last call left, as one line. Must precede any other call.
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
    // The innermost description is the cause; the others repeat the request.
    guard let cause = walked.lines.first else { return DiffError(code, what) }
    return DiffError(code, "\(what): \(explained(cause))")
  }

  /// Returns the library's cause in words for users.
  package static func explained(_ cause: String) -> String {
    if cause.hasPrefix("file is already open for") {
      return "it is marked as open for writing: its writer is running, or ended without closing it "
        + "('h5clear -s' then removes the mark)"
    }
    let numbers = cause.split { !("0"..."9").contains($0) }.compactMap { UInt64($0) }
    // Its size after the user block, the size of that, and the size that the file states.
    if cause.hasPrefix("truncated file"), numbers.count == 3 {
      return "it is truncated, as by an interrupted copy: it has \(numbers[0] &+ numbers[1]) of "
        + "\(numbers[2]) bytes"
    }
    // If the library read beyond its buffers, the text may contain addresses of its memory.
    let words = cause.split(separator: " ", omittingEmptySubsequences: false)
    let text = words.map { $0.contains("0x") ? "…" : $0 }.joined(separator: " ")
    return isAboutVersions(cause)
      ? "\(text): written by a newer HDF5 than \(version), or damaged" : text
  }

  /// Returns whether the cause is a version, a flag or a message that the library does not know.
  private static func isAboutVersions(_ cause: String) -> Bool {
    let isUnknown = ["bad ", "wrong ", "unknown "].contains(where: cause.hasPrefix)
    return isUnknown && ["version", "flag", "unknown message"].contains(where: cause.contains)
      || cause.contains("version") && cause.hasSuffix("out of bounds")
  }

  /// The version of the library, such as `1.10.8`.
  private static var version: String {
    var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
    _ = unsafe H5get_libversion(&major, &minor, &release)
    return "\(major).\(minor).\(release)"
  }

  private final class Descriptions { var lines: [String] = [] }
}
