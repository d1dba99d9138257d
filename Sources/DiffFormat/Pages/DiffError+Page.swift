import TensorCore

/// Errors in a page. While a page is decoded, offsets are relative to its first byte;
/// `PageBuffer.load` converts them to offsets in the file.
extension DiffError {
  /// Returns a `malformed` error at a byte of a page.
  static func inPage(_ message: String, at byte: Int) -> DiffError {
    DiffError(.malformed, message, offset: UInt64(byte))
  }

  /// Returns the error with its location in the file. In a page every error is `malformed`, limits
  /// included.
  func inFile(_ path: String?, _ page: PageInfo, of entry: DiffEntry) -> DiffError {
    DiffError(
      .malformed, message, path: path, tensor: entry.name, offset: page.offset + (offset ?? 0))
  }
}
