/// The constants of the container; `spec/FORMAT.md` is normative.
package enum Layout {
  package static let signature: [UInt8] = [0x89, 0x44, 0x4B, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
  package static let endSignature: [UInt8] = [0x0A, 0x1A, 0x0A, 0x0D, 0x46, 0x4B, 0x44, 0x89]
  package static let major: UInt16 = 1
  /// The minor version of a file without newer features.
  package static let minor: UInt16 = 0
  package static let headerSize = 32
  package static let footerSize = 48

  /// The incompatible feature of elements that are not whole bytes.
  package static let packedElements: UInt32 = 1
  /// The minor version that introduced it.
  package static let packedMinor: UInt16 = 1
  /// The incompatible features that this reader supports.
  package static let knownFeatures: UInt32 = packedElements

  /// The maximum number of changes in a page: small enough to decode in a cache, large enough that
  /// the overhead of a page is a fifth of a percent.
  package static let pageCapacity = 1 << 15
  /// The maximum number of elements that a page spans, so that offsets inside it fit in 32 bits.
  package static let pageSpan: UInt64 = 1 << 32
  /// The maximum length of a tensor's name, in bytes.
  package static let nameLength = 1 << 15
  /// The maximum length of a metadata key, in bytes.
  package static let metadataKeyLength = 255
  /// Returns whether a byte is valid in a key: printable ASCII, so that equal keys are equal bytes
  /// in every language.
  package static func isKeyByte(_ byte: UInt8) -> Bool { (0x21...0x7E).contains(byte) }
  /// The maximum number of bytes of metadata keys and values together.
  package static let metadataSize = 1 << 24

  /// The maximum number of stored bytes of a page: more than any sensible choice of encodings
  /// takes.
  package static let pageSize: UInt64 = 1 << 20
}

extension Layout {
  /// The signature after a transfer in text mode: with converted line ends, without the upper bit,
  /// or truncated at the DOS end of file.
  static let textModeSignatures: [[UInt8]] = [
    [0x89, 0x44, 0x4B, 0x46, 0x0A, 0x1A],
    [0x89, 0x44, 0x4B, 0x46, 0x0D, 0x0D],
    [0x89, 0x44, 0x4B, 0x46, 0x0D, 0x1A],
    [0x89, 0x44, 0x4B, 0x46, 0x0D, 0x0A, 0x1A, 0x0D],
    [0x09, 0x44, 0x4B, 0x46],
    [0xC2, 0x89, 0x44, 0x4B],
    [0xEF, 0xBF, 0xBD, 0x44, 0x4B],
  ]
}
