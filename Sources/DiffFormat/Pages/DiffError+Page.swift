import TensorCore

/// Rules that a page breaks. Inside of a page, offsets count from its first byte; `PageBuffer.load`
/// makes them offsets in the file.
extension DiffError {
  /// A rule broken at a byte of a page.
  static func inPage(_ message: String, at byte: Int) -> DiffError {
    DiffError(.malformed, message, offset: UInt64(byte))
  }

  /// The error as the file has it: of a page everything is `malformed`, sizes included.
  func inFile(_ path: String?, _ page: PageInfo, of entry: DiffEntry) -> DiffError {
    DiffError(
      .malformed, message, path: path, tensor: entry.name, offset: page.offset + (offset ?? 0))
  }
}
