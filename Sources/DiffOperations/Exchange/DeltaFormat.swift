/// Deltas that training tools publish and serving tools take: the bytes of a checkpoint's tensors
/// after a step, against those before it, whatever the type of the elements.
public enum DeltaFormat: String, Sendable, Hashable, CaseIterable {
  /// A folder `weight_vNNNNNN` of slime, miles, SGLang and Stitch
  /// (github.com/THUDM/slime, slime/utils/disk_delta.py): safetensors files that hold for each
  /// tensor that changes a U8 vector, the exclusive-or of the bytes, compressed by zstd; in the
  /// files' metadata the checksum of each tensor's new bytes; in the metadata of
  /// `model.safetensors.index.json` the version, the version that it follows and the codings.
  case deltaXor = "delta-xor"
  /// The same with u32 count, u32 positions of the bytes that change, and their new values.
  case deltaOverwrite = "delta-overwrite"
  /// A file for each file of the checkpoint, of Fireworks
  /// (fireworks-delta-compression 0.1.0, backends/arc2.py): for each tensor, changed or not, a U8
  /// vector, the exclusive-or compressed by zlib, and in the metadata the Adler-32 of the new bytes.
  case arcV1 = "arc-v1"
  /// The same compressed by zstd.
  case arcV2 = "arc-v2"

  /// Whether it is a folder with an index that names the version.
  public var isVersioned: Bool { self == .deltaXor || self == .deltaOverwrite }
}

/// The checksum of a tensor's new bytes in a delta.
public enum DeltaChecksum: String, Sendable, Hashable, CaseIterable {
  /// XXH3-128, 32 hexadecimal digits.
  case xxh3 = "xxh3-128"
  /// Adler-32, 8 hexadecimal digits, or in a file of Fireworks a decimal number.
  case adler32
}
