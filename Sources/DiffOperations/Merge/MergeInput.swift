import DiffFormat
import TensorCore

/// A diff that takes part in a merge.
public struct MergeInput: Sendable {
  /// The diff, open.
  public var diff: DiffReader
  /// w: its weight.
  public var weight: Double

  /// A diff with a weight.
  public init(_ diff: DiffReader, weight: Double = 1) {
    self.diff = diff
    self.weight = weight
  }

  /// What it is called in messages.
  var name: String { diff.path ?? "diff \(diff.identity)" }
}

/// The diffs of a merge in an order of their own, by identity: sums of rounded numbers depend on
/// the order of the terms, so this is what makes the result independent of the order given.
struct MergeInputs: Sendable {
  /// Ascending by identity, then weight.
  let inputs: [MergeInput]
  /// Where each stood in the order given.
  let given: [Int]
  /// The diffs of `inputs`, and their tensors in order of names.
  let diffs: [DiffReader]
  let tensors: [AlignedTensor]

  /// Sorts diffs and aligns their tensors; '/' and '.' are the same separator.
  ///
  /// - Throws: `mismatch` if a diff holds two names that differ in the separator only.
  /// - Complexity: O(n log n) in entries.
  init(_ all: [MergeInput]) throws(DiffError) {
    func key(_ input: MergeInput) -> (UInt64, UInt64, Double) {
      (input.diff.identity.high, input.diff.identity.low, input.weight)
    }
    given = all.indices.sorted { key(all[$0]) < key(all[$1]) }
    inputs = given.map { all[$0] }
    diffs = inputs.map(\.diff)
    tensors = try AlignedTensor.all(diffs)
  }
}
