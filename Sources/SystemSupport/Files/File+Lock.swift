import Platform
import TensorCore

extension File {
  /// Who else may use a file at the same time.
  package enum Lock: Sendable {
    /// Readers.
    case shared
    /// Nobody.
    case exclusive
  }

  /// Takes a lock for as long as the file is open, in place of the one that this object holds.
  /// It binds programs that ask: diffkit, and whatever opens HDF5 files through the library.
  ///
  /// A process that is being started holds copies of all open files of its parent, locks included,
  /// until its program begins; so a lock is asked for again for half a second.
  ///
  /// - Throws: `locked` if another program, or another opening by this one, holds a lock that
  ///   excludes it. File systems without locks grant every one.
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
