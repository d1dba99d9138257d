import Checkpoints
import DiffFormat
import TensorCore

/// The base of the diffs of a merge, with the fingerprints of its tensors.
package struct MergeBase {
  private let checkpoint: any Checkpoint
  private let names: TensorNames
  private let known: [TensorName: Fingerprint]
  /// The fingerprint of the whole checkpoint; nil if a tensor is unreadable or names are ambiguous.
  package let fingerprint: Fingerprint?

  /// - Complexity: O(bytes), on all cores.
  package init(
    _ checkpoint: any Checkpoint, progress handler: ProgressHandler? = nil
  ) throws(DiffError) {
    self.checkpoint = checkpoint
    names = TensorNames(checkpoint)
    var known: [TensorName: Fingerprint] = [:]
    fingerprint = try checkpoint.fingerprintIfReadable(progress: handler) { known[$0] = $1 }
    self.known = known
  }

  /// Refuses a diff that was made on another base.
  ///
  /// - Throws: `mismatch` for a tensor that the base lacks or that has another type or shape there,
  ///   `wrongBase` for other elements.
  package func check(_ diff: DiffReader) throws(DiffError) {
    for entry in diff where entry.operation != .insert {
      func refuse(_ code: DiffError.Code, _ message: String) -> DiffError {
        DiffError(
          code, message + checkpoint.path, path: diff.path, tensor: entry.name,
          remedy: entry.isAddition ? .allowOtherBase : nil)
      }
      guard let stored = try names.find(entry.name) else {
        throw refuse(.mismatch, "is not in the base ")
      }
      guard stored.type == entry.type, stored.shape == entry.shape else {
        throw refuse(
          .mismatch,
          "is \(entry.type) \(entry.shape), but \(stored.type) \(stored.shape) in the base ")
      }
      if let base = entry.base, let known = known[stored.name], base != known {
        throw refuse(.wrongBase, "was made on a base other than ")
      }
    }
  }
}
