import Checkpoints
import SystemSupport
import TensorCore

/// Detects changes to the files of checkpoints while they are read: programs that ignore locks may
/// write to them, and no output may mix old and new bytes.
struct InputStamps {
  private let stamps: [(path: String, stamp: FileStamp?)]

  init(_ checkpoints: [any Checkpoint]) {
    stamps = checkpoints.flatMap(\.files).map { ($0, FileStamp($0)) }
  }

  /// True if no file has changed.
  var areCurrent: Bool { stamps.allSatisfy { FileStamp($0.path) == $0.stamp } }

  /// Throws `changed` if a file has changed.
  func check() throws(DiffError) {
    for (path, stamp) in stamps where FileStamp(path) != stamp {
      throw .changedMeanwhile(path)
    }
  }
}
