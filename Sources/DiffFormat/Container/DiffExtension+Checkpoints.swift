import TensorCore

/// The fingerprints of a diff's base and result as whole checkpoints.
public struct CheckpointFingerprints: Sendable, Hashable {
  /// The fingerprints of the base and of the result.
  public var base, result: Fingerprint

  /// Creates a pair of fingerprints.
  public init(base: Fingerprint, result: Fingerprint) {
    self.base = base
    self.result = result
  }
}

extension DiffExtension {
  /// The identifier of the extension for fingerprints of whole checkpoints (FORMAT.md, 4.7.2).
  public static let checkpointsIdentifier: UInt64 = 1

  /// Creates an extension that holds fingerprints.
  public init(checkpoints: CheckpointFingerprints) {
    identifier = Self.checkpointsIdentifier
    bytes = checkpoints.base.bytes + checkpoints.result.bytes
  }

  /// The fingerprints that the extension holds; nil if it is another extension or has another size.
  public var checkpoints: CheckpointFingerprints? {
    guard identifier == Self.checkpointsIdentifier, bytes.count == 32 else { return nil }
    return CheckpointFingerprints(
      base: Fingerprint(bytes, at: 0), result: Fingerprint(bytes, at: 16))
  }
}
