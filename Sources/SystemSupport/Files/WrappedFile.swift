/// Files that hold another one, or stand for it.
package enum WrappedFile {
  /// How they begin, what they are, and what to do about it.
  package static let signatures: [(signature: [UInt8], what: String)] = [
    (
      Array("version https://git-lfs.github.com/spec/".utf8),
      "a pointer of Git LFS, not the file itself; 'git lfs pull' downloads that"
    ),
    ([0x1F, 0x8B], "compressed with gzip; unpack it first (gunzip)"),
    ([0x28, 0xB5, 0x2F, 0xFD], "compressed with Zstandard; unpack it first (zstd -d)"),
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "compressed with xz; unpack it first (unxz)"),
    (Array("BZh".utf8), "compressed with bzip2; unpack it first (bunzip2)"),
  ]
}
