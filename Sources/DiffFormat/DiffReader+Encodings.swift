import SystemSupport
import TensorCore

extension DiffReader {
  /// Returns whether the file at `path` begins with the signature of a diff.
  ///
  /// - Throws: `io` if it cannot be read.
  public static func isDiff(_ path: String) throws(DiffError) -> Bool {
    let file = try File(path)
    let length = Swift.min(try file.size, UInt64(Layout.signature.count))
    let head = try file.bytes(at: 0, count: Int(length))
    return !head.isEmpty && Layout.signature.starts(with: head)
      || Layout.textModeSignatures.contains { head.starts(with: $0) }
  }

  /// Returns the encodings of an entry's pages, such as `splitRice` or `splitRice by columns`.
  /// Reads only the first byte of each page.
  ///
  /// - Throws: `malformed` or `io`. Checksums are not checked: see `PageBuffer.load`.
  public func encodings(
    of entry: DiffEntry, _ stream: DiffStream = .changes
  ) throws(DiffError) -> Set<String> {
    var names: Set<String> = []
    for page in entry.pages[stream] ?? [] {
      let first = try source.bytes(at: page.offset, count: 1)
      guard let code = first.first, let coding = PositionCoding(rawValue: code & 15),
        let traversal = Traversal(rawValue: code >> 4)
      else {
        throw DiffError(
          .malformed, "unknown position coding", path: path, tensor: entry.name,
          offset: page.offset)
      }
      names.insert(traversal == .rows ? "\(coding)" : "\(coding) by \(traversal)")
    }
    return names
  }
}
