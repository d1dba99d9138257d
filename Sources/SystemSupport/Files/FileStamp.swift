import Platform
import TensorCore

/// The identity, size and modification time of a file, by which a change while it is read is
/// detected.
package struct FileStamp: Sendable, Hashable {
  private let device, file, size: UInt64
  private let seconds, nanoseconds: Int

  /// The stamp of a file, or nil if there is none.
  package init?(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    device = UInt64(truncatingIfNeeded: status.st_dev)
    file = UInt64(status.st_ino)
    size = UInt64(status.st_size)
    #if canImport(Darwin)
    let time = status.st_mtimespec
    #else
    let time = status.st_mtim
    #endif
    (seconds, nanoseconds) = (time.tv_sec, time.tv_nsec)
  }

  /// The modification time in seconds since 1970.
  package var modified: Int { seconds }

  /// The stamp as text: equal for equal stamps.
  package var text: String { "\(device):\(file):\(size):\(seconds).\(nanoseconds)" }

  /// Waits until the clock of the file system has advanced, so that any later write gives the file
  /// another stamp.
  package func settle() {
    // Ticks of that clock are at most 10 ms apart.
    let settled = Double(seconds) + Double(nanoseconds) / 1e9 + 0.02
    while true {
      var now = timespec()
      guard unsafe clock_gettime(CLOCK_REALTIME, &now) == 0 else { return }
      let left = settled - (Double(now.tv_sec) + Double(now.tv_nsec) / 1e9)
      // For a modification time in the future, waiting does not help.
      guard left > 0, left < 1 else { return }
      usleep(UInt32(left * 1e6) + 1)
    }
  }
}

extension DiffError {
  /// The error for a file that another program changed or replaced while it was read.
  package static func changedMeanwhile(_ path: String) -> DiffError {
    DiffError(
      .changed, "was changed by another program while it was read; try again", path: path)
  }
}
