import TensorCore

/// The fingerprints of the whole checkpoints that a diff leads from and to.
public struct CheckpointFingerprints: Sendable, Hashable {
  /// The base, and what the diff makes of it.
  public var base, result: Fingerprint

  /// The fingerprints of a base and a result.
  public init(base: Fingerprint, result: Fingerprint) {
    self.base = base
    self.result = result
  }
}

extension DiffExtension {
  /// The number of the extension that holds the fingerprints of whole checkpoints (FORMAT.md,
  /// 4.7.2).
  public static let checkpointsIdentifier: UInt64 = 1

  /// An extension of fingerprints.
  public init(checkpoints: CheckpointFingerprints) {
    identifier = Self.checkpointsIdentifier
    bytes = checkpoints.base.bytes + checkpoints.result.bytes
  }

  /// The fingerprints that the extension holds; nil if it is another one, or of another size.
  public var checkpoints: CheckpointFingerprints? {
    guard identifier == Self.checkpointsIdentifier, bytes.count == 32 else { return nil }
    return CheckpointFingerprints(
      base: Fingerprint(bytes, at: 0), result: Fingerprint(bytes, at: 16))
  }
}
