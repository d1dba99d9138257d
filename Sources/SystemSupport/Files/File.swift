import Platform
import TensorCore

/// An open file that is read and written at offsets. It has no current offset, so threads may share
/// it.
public final class File: Sendable {
  /// The path in messages: the one it was opened with, or its destination.
  public let path: String
  /// The current path, which may be temporary.
  private let location: String
  package let descriptor: Int32

  /// Takes ownership of an open descriptor.
  package init(adopting descriptor: Int32, path: String) {
    self.path = path
    location = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Opens an existing regular file for reading, or for reading and writing. Non-blocking, so that
  /// a pipe is refused immediately.
  public convenience init(_ path: String, writable: Bool = false) throws(DiffError) {
    let flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK
    let descriptor = Self.retrying { unsafe open(path, flags) }
    guard descriptor >= 0 else { throw .system("cannot open", path) }
    self.init(adopting: descriptor, path: path)
    let kind = try status().st_mode & S_IFMT
    guard kind == S_IFREG else {
      throw DiffError(
        .io, "not a regular file", path: path, remedy: kind == S_IFIFO ? .standardInput : nil)
    }
  }

  /// Creates a file that must not exist yet.
  ///
  /// - Parameter name: the path in messages, if it differs.
  package init(
    creating path: String, mode: mode_t = 0o666, named name: String? = nil
  ) throws(DiffError) {
    self.path = name ?? path
    location = path
    descriptor = Self.retrying {
      unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    }
    guard descriptor >= 0 else { throw .system("cannot create", self.path) }
  }

  /// Returns a path by which a process that has the file as this or another descriptor can open it
  /// again, even if it was renamed or removed; without /proc, its current path.
  package func openablePath(as descriptor: Int32? = nil) -> String {
    #if os(Linux)
    let folder = "/proc/self/fd"
    #else
    let folder = "/dev/fd"
    #endif
    guard unsafe access(folder, X_OK) == 0 else { return location }
    return "\(folder)/\(descriptor ?? self.descriptor)"
  }

  package func status() throws(DiffError) -> stat {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .system("cannot stat", path) }
    return status
  }

  /// The current size in bytes.
  public var size: UInt64 {
    get throws(DiffError) { UInt64(try status().st_size) }
  }

  /// The number of bytes that the file takes on its device; less than `size` if it has holes.
  package var allocatedSize: UInt64 {
    get throws(DiffError) { UInt64(try status().st_blocks) * 512 }
  }

  /// Fills `buffer` with the bytes at `offset`.
  ///
  /// - Throws: `truncated` if the file ends before, `io` if it cannot be read.
  public func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    var done = 0
    while done < buffer.count {
      let got = unsafe buffer.withUnsafeMutableBufferPointer {
        unsafe pread(
          descriptor, $0.baseAddress.map { unsafe $0 + done }, $0.count - done,
          off_t(offset) + off_t(done))
      }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw .system("cannot read", path) }
      guard got > 0 else {
        throw DiffError(
          .truncated, "the file ends too early", path: path, offset: offset + UInt64(done))
      }
      done += got
    }
  }

  /// Reads all bytes up to the end, also of files that do not report their size, as in /proc.
  package func readToEnd() throws(DiffError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = unsafe pread(descriptor, &buffer, buffer.count, off_t(bytes.count))
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw .system("cannot read", path) }
      guard got > 0 else { return bytes }
      bytes += buffer[..<got]
    }
  }

  /// Writes all of `bytes` at `offset`.
  package func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(DiffError) {
    var done = 0
    while done < bytes.count {
      let put = unsafe bytes.withUnsafeBufferPointer {
        unsafe pwrite(
          descriptor, $0.baseAddress.map { unsafe $0 + done }, $0.count - done,
          off_t(offset) + off_t(done))
      }
      if put < 0 && errno == EINTR { continue }
      guard put > 0 else { throw .system("cannot write", path) }
      done += put
    }
  }

  /// Makes the contents durable.
  package func sync() throws(DiffError) {
    guard File.retrying({ fsync(descriptor) }) == 0 else { throw .system("cannot flush", path) }
  }

  /// Sets the size; new bytes read as zeros.
  package func resize(to size: UInt64) throws(DiffError) {
    guard File.retrying({ ftruncate(descriptor, off_t(size)) }) == 0 else {
      throw .system("cannot resize", path)
    }
  }

  /// Makes a call of the system again for as long as a signal interrupts it.
  static func retrying(_ call: () -> Int32) -> Int32 {
    while true {
      let result = call()
      guard result < 0 && errno == EINTR else { return result }
    }
  }
}
