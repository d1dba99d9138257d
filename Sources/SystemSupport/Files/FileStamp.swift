import Platform

/// Which file a path leads to and when it was changed last: what tells that somebody wrote to a
/// file while it was read.
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
}
