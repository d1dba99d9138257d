import Platform
import TensorCore

/// A sequential stream of the bytes of a file, a pipe or memory.
package struct ByteStream {
  /// The name in messages.
  package let name: String
  private let source: Source

  private enum Source {
    case file(File)
    case descriptor(Int32)
    case memory([UInt8])
  }

  /// Opens a regular file.
  ///
  /// - Throws: `io`.
  package init(_ path: String) throws(DiffError) {
    source = .file(try File(path))
    name = path
  }

  /// The standard input of this process.
  package static var standardInput: ByteStream {
    ByteStream(.descriptor(STDIN_FILENO), "standard input")
  }

  /// Creates a stream of bytes in memory.
  package init(_ bytes: [UInt8], name: String = "memory") { self.init(.memory(bytes), name) }

  private init(_ source: Source, _ name: String) {
    self.source = source
    self.name = name
  }

  /// Appends the bytes that can be read now, at most `count`; waits if there are none yet.
  ///
  /// - Parameter offset: the number of bytes that were read before.
  /// - Returns: whether bytes were read; false at the end.
  /// - Throws: `io`.
  package func read(
    at offset: Int, count: Int, appendingTo bytes: inout [UInt8]
  ) throws(DiffError) -> Bool {
    let end = bytes.count
    switch source {
    case .memory(let all):
      bytes += all[min(offset, all.count)..<min(all.count, offset + count)]
      return bytes.count > end
    case .file(let file):
      return try unsafe fill(&bytes, count) { unsafe pread(file.descriptor, $0, $1, off_t(offset)) }
    case .descriptor(let descriptor):
      return try unsafe fill(&bytes, count) { unsafe Platform.read(descriptor, $0, $1) }
    }
  }

  private func fill(
    _ bytes: inout [UInt8], _ count: Int,
    _ read: (UnsafeMutableRawPointer?, Int) -> Int
  ) throws(DiffError) -> Bool {
    let end = bytes.count
    bytes += repeatElement(0, count: count)
    var got: Int
    repeat {
      got = unsafe bytes.withUnsafeMutableBytes {
        unsafe read($0.baseAddress.map { unsafe $0 + end }, count)
      }
    } while got < 0 && errno == EINTR
    let error = got < 0 ? DiffError.system("cannot read", name) : nil
    bytes.removeLast(count - max(0, got))
    if let error { throw error }
    return got > 0
  }
}
