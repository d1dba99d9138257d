import Platform
import TensorCore

/// The bytes of a file, of a pipe or of memory, one part after the other.
package struct ByteStream {
  /// What messages call it.
  package let name: String
  private let source: Source

  private enum Source {
    case file(File)
    case descriptor(Int32)
    case memory([UInt8])
  }

  /// A regular file, from its beginning.
  ///
  /// - Throws: `io`.
  package init(_ path: String) throws(DiffError) {
    source = .file(try File(path))
    name = path
  }

  /// What this process is sent.
  package static var standardInput: ByteStream {
    ByteStream(.descriptor(STDIN_FILENO), "standard input")
  }

  /// Bytes that are there already.
  package init(_ bytes: [UInt8], name: String = "memory") { self.init(.memory(bytes), name) }

  private init(_ source: Source, _ name: String) {
    self.source = source
    self.name = name
  }

  /// Appends what can be read now, at most `count` bytes; waits if there is nothing yet.
  ///
  /// - Parameter offset: How many bytes were read before.
  /// - Returns: Whether there was anything; false at the end.
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
