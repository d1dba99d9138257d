import TensorCore

/// A file that is open only while it is read, so that there may be more of them than a process
/// may have open. One that is replaced in between is noticed by the checksums of its pages.
package struct ReopenedFile: ByteSource {
  private let path: String

  package init(_ path: String) { self.path = path }

  package var size: UInt64 { get throws(DiffError) { try File(path).size } }

  package func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    try File(path).read(at: offset, into: &buffer)
  }
}

extension DiffReader {
  /// So many files stay open at the same time; a process may often have no more than 1024.
  private static let openLimit = 256

  /// Opens many diffs, in memory of their indices.
  ///
  /// - Throws: what opening one throws, with its path.
  public static func open(_ paths: [String]) throws(DiffError) -> [DiffReader] {
    var readers: [DiffReader] = []
    for path in paths {
      guard paths.count > openLimit else {
        readers.append(try DiffReader(path))
        continue
      }
      do throws(DiffError) {
        readers.append(try DiffReader(ReopenedFile(path), path: path))
      } catch {
        throw error.at(path: path)
      }
    }
    return readers
  }
}
