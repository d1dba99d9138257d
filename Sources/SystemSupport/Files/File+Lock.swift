import Platform
import TensorCore

extension File {
  /// A kind of lock on a file.
  package enum Lock: Sendable {
    /// Allows other readers.
    case shared
    /// Excludes all others.
    case exclusive
  }

  /// Takes a lock until the file is closed, replacing the one that this object holds. The lock is
  /// advisory: it is respected by diffkit and by programs that open HDF5 files through libhdf5.
  ///
  /// A process that is being started holds copies of all open files of its parent, locks included,
  /// until its program begins; therefore the lock is tried for half a second.
  ///
  /// - Throws: `locked` if another program, or another `File` of this process, holds a conflicting
  ///   lock. On file systems without locks it always succeeds.
  package func lock(_ lock: Lock) throws(DiffError) {
    let operation = (lock == .shared ? LOCK_SH : LOCK_EX) | LOCK_NB
    var attempts = 0
    while flock(descriptor, operation) != 0 {
      if errno == EINTR { continue }
      guard errno == EWOULDBLOCK else { return }
      attempts += 1
      if attempts < 50 {
        usleep(10_000)
        continue
      }
      throw DiffError(
        .locked,
        lock == .shared
          ? "is being changed by another program; try again when that is done"
          : "is in use by another program, so it is not changed in place; try again",
        path: path)
    }
  }
}
