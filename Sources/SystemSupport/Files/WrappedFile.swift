/// Recognizes compressed files and pointers to other files.
package enum WrappedFile {
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
