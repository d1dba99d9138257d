/// Recognizes compressed files, pointers to other files, and web pages in place of files.
package enum WrappedFile {
  /// Describes a file by its first bytes, with a remedy; nil if it is none of these.
  ///
  /// - Parameter start: the first 512 bytes, or fewer.
  package static func description(_ start: [UInt8]) -> String? {
    if let known = signatures.first(where: { start.starts(with: $0.signature) }) {
      return known.what
    }
    let text = String(decoding: start.prefix(512), as: UTF8.self).lowercased()
    guard text.hasPrefix("<!doctype html") || text.hasPrefix("<html") else { return nil }
    return "a web page (HTML), as from an unauthorized download; download the file again"
  }

  /// The first bytes of such files, with descriptions and remedies.
  package static let signatures: [(signature: [UInt8], what: String)] = [
    (
      Array("version https://git-lfs.github.com/spec/".utf8),
      "a Git LFS pointer, not the file itself; 'git lfs pull' downloads the file"
    ),
    ([0x1F, 0x8B], "compressed with gzip; unpack it first (gunzip)"),
    ([0x28, 0xB5, 0x2F, 0xFD], "compressed with Zstandard; unpack it first (zstd -d)"),
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "compressed with xz; unpack it first (unxz)"),
    (Array("BZh".utf8), "compressed with bzip2; unpack it first (bunzip2)"),
  ]
}
