import TensorCore

extension File {
  /// The whole of a small file.
  ///
  /// - Throws: `io`, or `limit` if it is larger than `limit` bytes.
  package static func contents(
    of path: String, limit: UInt64 = 1 << 30
  ) throws(DiffError) -> [UInt8] {
    let file = try File(path)
    let size = try file.size
    guard size <= limit else {
      throw DiffError(.limit, "larger than the \(limit) bytes that are read at most", path: path)
    }
    return try file.contents()
  }

  /// The whole of an open file, as large as it is now. The caller has looked at its size.
  package func contents() throws(DiffError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(try size))
    var span = bytes.mutableSpan
    try read(at: 0, into: &span)
    return bytes
  }
}
