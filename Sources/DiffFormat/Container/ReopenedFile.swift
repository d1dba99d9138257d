import Platform
import SystemSupport
import TensorCore

/// A file that is open only while it is read, so that their number may exceed the limit of open
/// files. A replacement in between is detected by the checksums of pages.
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
  /// Opens several diffs, in memory of their indices. Up to three quarters of the limit of open
  /// files stay open; the others are opened whenever they are read.
  ///
  /// - Throws: the errors of opening one diff, with its path.
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
