import Checkpoints
import TensorCore

extension Checkpoint {
  /// Returns the fingerprints of the tensors, without optimizer state.
  ///
  /// - Complexity: O(bytes), on all cores.
  package func fingerprints(
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> [(name: TensorName, fingerprint: Fingerprint)] {
    let counted = tensors.filter { !$0.isOptimizerState }
    var progress = ProgressCounter("hash", total: counted.map(\.byteCount).clampedSum, handler)
    var fingerprints: [(name: TensorName, fingerprint: Fingerprint)] = []
    for tensor in counted {
      fingerprints.append((tensor.name, try fingerprint(of: tensor)))
      progress.add(tensor.byteCount)
    }
    progress.finish()
    return fingerprints
  }

  /// Returns the fingerprint of the whole checkpoint (spec/FORMAT.md, 7.4); nil if names are
  /// ambiguous.
  ///
  /// - Complexity: O(bytes), on all cores.
  public func fingerprint(
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> Fingerprint? {
    .ofCheckpoint(try fingerprints(progress: handler))
  }

  /// Returns the fingerprint of the whole checkpoint; nil if a tensor is unreadable or names are
  /// ambiguous.
  ///
  /// - Parameter body: receives the fingerprint of each tensor that is readable.
  /// - Complexity: O(bytes), on all cores.
  package func fingerprintIfReadable(
    progress handler: ProgressHandler? = nil,
    _ body: (TensorName, Fingerprint) -> Void = { _, _ in }
  ) throws(DiffError) -> Fingerprint? {
    var progress = ProgressCounter("hash", total: tensors.map(\.byteCount).clampedSum, handler)
    var whole = TensorFingerprints()
    for tensor in tensors {
      let fingerprint = try fingerprintIfReadable(of: tensor)
      if let fingerprint { body(tensor.name, fingerprint) }
      whole.append(tensor.name, fingerprint)
      progress.add(tensor.byteCount)
    }
    progress.finish()
    return whole.ofCheckpoint
  }

  /// Returns the fingerprint of a tensor; nil if its type or storage is not supported.
  func fingerprintIfReadable(of tensor: StoredTensor) throws(DiffError) -> Fingerprint? {
    do { return try fingerprint(of: tensor) } catch {
      guard error.code == .unsupported || error.code == .unsupportedCheckpoint else { throw error }
      return nil
    }
  }
}

/// Collects the fingerprints of a checkpoint's tensors.
struct TensorFingerprints {
  private var known: [(name: TensorName, fingerprint: Fingerprint)] = []
  private var isComplete = true

  /// Adds a tensor, whose fingerprint may be unknown.
  mutating func append(_ name: TensorName, _ fingerprint: Fingerprint?) {
    guard !name.isOptimizerState else { return }
    guard let fingerprint else { return isComplete = false }
    known.append((name, fingerprint))
  }

  /// The fingerprint of the whole checkpoint; nil if one is unknown or names are ambiguous.
  var ofCheckpoint: Fingerprint? { isComplete ? .ofCheckpoint(known) : nil }
}

extension DiffWriter {
  /// States the fingerprints of the base and the result as whole checkpoints, unless one is unknown or
  /// names are ambiguous.
  ///
  /// - Parameter written: the tensors that may change, by their names in the base; the others are
  ///   hashed.
  /// - Complexity: O(bytes of the other tensors).
  package func state(
    _ base: any Checkpoint, _ written: [TensorName: WrittenPair]
  ) throws(DiffError) {
    var (before, after) = (TensorFingerprints(), TensorFingerprints())
    for tensor in base.tensors where !tensor.isOptimizerState {
      let pair = written[tensor.name]
      let hash = try pair == nil ? base.fingerprintIfReadable(of: tensor) : nil
      before.append(tensor.name, pair?.base ?? hash)
      after.append(tensor.name, pair?.result ?? hash)
    }
    for (name, pair) in written where pair.base == nil { after.append(name, pair.result) }
    guard let base = before.ofCheckpoint, let result = after.ofCheckpoint else { return }
    extensions.append(
      DiffExtension(checkpoints: CheckpointFingerprints(base: base, result: result)))
  }
}
