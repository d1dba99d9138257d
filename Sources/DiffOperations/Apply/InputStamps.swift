import Checkpoints
import SystemSupport
import TensorCore

/// Watches over the files of checkpoints that are being read: what programs write to them that do
/// not care for locks must not end up, by halves, in an output.
struct InputStamps {
  private let stamps: [(path: String, stamp: FileStamp?)]

  init(_ checkpoints: [any Checkpoint]) {
    stamps = checkpoints.flatMap(\.files).map { ($0, FileStamp($0)) }
  }

  /// Whether no file has changed.
  var areCurrent: Bool { stamps.allSatisfy { FileStamp($0.path) == $0.stamp } }

  /// Refuses to go on if a file has changed.
  func check() throws(DiffError) {
    for (path, stamp) in stamps where FileStamp(path) != stamp {
      throw DiffError(
        .changed, "was changed by another program while it was read; try again", path: path)
    }
  }
}
