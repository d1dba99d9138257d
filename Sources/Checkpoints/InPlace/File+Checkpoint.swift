import SystemSupport
import TensorCore

extension File {
  /// Opens a file of a checkpoint for reading: locks it against changes in place, and refuses it if
  /// such a change was interrupted.
  convenience init(ofCheckpoint path: String) throws(DiffError) {
    try self.init(path)
    try lock(.shared)
    try Journal.refuseInterrupted(path)
  }
}
