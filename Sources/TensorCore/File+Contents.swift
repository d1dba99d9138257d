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
    var bytes = [UInt8](repeating: 0, count: Int(size))
    var span = bytes.mutableSpan
    try file.read(at: 0, into: &span)
    return bytes
  }
}
