/// The format of a delta that training tools publish and serving tools read: the differences in
/// bytes of a checkpoint's tensors across a step, whatever the type of the elements.
public enum DeltaFormat: String, Sendable, Hashable, CaseIterable {
  /// A folder `weight_vNNNNNN` of slime, miles, SGLang and Stitch (github.com/THUDM/slime,
  /// slime/utils/disk_delta.py): safetensors files with a U8 vector for each changed tensor, the
  /// exclusive-or of the bytes, compressed by zstd; the metadata of the files has the checksum of
  /// each tensor's new bytes, that of `model.safetensors.index.json` the version, its base version
  /// and the codings.
  case deltaXor = "delta-xor"
  /// Like `deltaXor`, with a vector of a u32 count, u32 positions of the changed bytes, and their
  /// new values.
  case deltaOverwrite = "delta-overwrite"
  /// One file per file of the checkpoint, of Fireworks (fireworks-delta-compression 0.1.0,
  /// backends/arc2.py): for each tensor, changed or not, a U8 vector, the exclusive-or compressed
  /// by zlib, and in the metadata the Adler-32 of the new bytes.
  case arcV1 = "arc-v1"
  /// Like `arcV1`, compressed by zstd.
  case arcV2 = "arc-v2"

  /// True if the delta is a folder whose index gives the version.
  public var isVersioned: Bool { self == .deltaXor || self == .deltaOverwrite }
}

/// The checksum of a tensor's new bytes in a delta.
public enum DeltaChecksum: String, Sendable, Hashable, CaseIterable {
  /// XXH3-128, in 32 hexadecimal digits.
  case xxh3 = "xxh3-128"
  /// Adler-32, in 8 hexadecimal digits, or in decimal in a file of Fireworks.
  case adler32
}
