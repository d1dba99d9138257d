import SystemSupport
import TensorCore

extension File {
  /// Opens a file of a checkpoint to read it: keeps those away who would change it in place, and
  /// refuses one that such a change has left half done.
  convenience init(ofCheckpoint path: String) throws(DiffError) {
    try self.init(path)
    try lock(.shared)
    try Journal.refuseInterrupted(path)
  }
}
