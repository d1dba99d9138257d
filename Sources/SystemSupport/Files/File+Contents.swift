import TensorCore

extension File {
  /// Returns all bytes of a small file.
  ///
  /// - Throws: `io`, or `limit` if it is larger than `limit` bytes.
  package static func contents(
    of path: String, limit: UInt64 = 1 << 30
  ) throws(DiffError) -> [UInt8] {
    let file = try File(path)
    let size = try file.size
    guard size <= limit else {
      throw DiffError(.limit, "larger than the limit of \(limit) bytes", path: path)
    }
    return try file.contents()
  }

  /// Reads a small file and parses it with `body`, whose errors get the file's path.
  ///
  /// - Throws: `io`, `limit` if it is larger than `limit` bytes, and the errors of `body`.
  package static func parse<Result>(
    _ path: String, limit: UInt64 = 1 << 30,
    _ body: ([UInt8]) throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    let bytes = try contents(of: path, limit: limit)
    do { return try body(bytes) } catch { throw error.at(path: path) }
  }

  /// Returns all bytes of an open file, whose size the caller has checked.
  package func contents() throws(DiffError) -> [UInt8] { try bytes(at: 0, count: Int(try size)) }

  /// Returns `count` bytes at `offset`.
  ///
  /// - Throws: `truncated` if the file ends before, `io` if it cannot be read.
  package func bytes(at offset: UInt64, count: Int) throws(DiffError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try read(at: offset, into: &span)
    return bytes
  }
}
