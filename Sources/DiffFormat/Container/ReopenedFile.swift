import Platform
import SystemSupport
import TensorCore

/// A file that is open only while it is read, so that there may be more of them than a process
/// may have open. One that is replaced in between is noticed by the checksums of its pages.
package struct ReopenedFile: ByteSource {
  private let path: String

  package init(_ path: String) { self.path = path }

  package var name: String? { path }

  package var size: UInt64 { get throws(DiffError) { try File(path).size } }

  package func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    try File(path).read(at: offset, into: &buffer)
  }
}

extension DiffReader {
  /// Opens many diffs, in memory of their indices. As many stay open as a part of what a process
  /// may have open; the others are opened whenever they are read.
  ///
  /// - Throws: what opening one throws, with its path.
  public static func open(_ paths: [String]) throws(DiffError) -> [DiffReader] {
    let limit = sysconf(Int32(_SC_OPEN_MAX))
    let openCount = limit < 0 ? Int.max : limit / 4 * 3
    var readers: [DiffReader] = []
    for path in paths {
      guard readers.count >= openCount else {
        readers.append(try DiffReader(path))
        continue
      }
      readers.append(try DiffReader(ReopenedFile(path)))
    }
    return readers
  }
}
