import DiffFormat
import SystemSupport
import TensorCore

/// A diff that takes part in a merge.
public struct MergeInput: Sendable {
  /// The diff, open.
  public var diff: DiffReader
  /// w: its weight. Where that is 0, the diff has no part in the tensor: no vote, no place in a mean.
  public var weight: MergeSetting
  /// d, γ and ε of this diff, in place of those of the options.
  public var density, gamma, epsilon: MergeSetting?

  /// A diff with a weight.
  public init(_ diff: DiffReader, weight: Double = 1) {
    self.diff = diff
    self.weight = MergeSetting(weight)
  }

  /// The identity of the diff that it stands for, if that is another.
  var original: Fingerprint?
  /// The identity of the diff, as given.
  var identity: Fingerprint { original ?? diff.identity }

  /// What it is called in messages.
  var name: String { diff.path ?? "diff \(diff.identity)" }
}

/// The diffs of a merge in an order of their own: sums of rounded numbers depend on the order of the
/// terms, so this is what makes the result independent of the order given.
struct MergeInputs: Sendable {
  /// Ascending by identity, then weight; where chance is to depend on the contents alone, by those.
  let inputs: [MergeInput]
  /// Where each stood in the order given.
  let given: [Int]
  /// The diffs of `inputs`, and their tensors in order of names.
  let diffs: [DiffReader]
  let tensors: [AlignedTensor]
  /// What the chance of each diff depends on, if it was asked for: its contents, and how many diffs
  /// of the same contents come before it.
  let draws: [DrawIdentity]

  /// Sorts diffs and aligns their tensors; '/' and '.' are the same separator.
  ///
  /// - Parameter drawing: Whether random choices are to be made.
  /// - Throws: `mismatch` if a diff holds two names that differ in the separator only.
  /// - Complexity: O(n log n) in entries; with `drawing`, O(changes) on all cores.
  init(_ all: [MergeInput], drawing: Bool) throws(DiffError) {
    var contents: [Fingerprint] = []
    if drawing {
      var works = all.map { (diff: $0.diff, contents: Fingerprint(high: 0, low: 0)) }
      try parallelForEach(&works) { _, work throws(DiffError) in
        work.contents = try work.diff.contentsIdentity()
      }
      contents = works.map(\.contents)
    }
    let given = all.indices.sorted { one, other in
      if !contents.isEmpty, contents[one] != contents[other] {
        return contents[one].isLess(than: contents[other])
      }
      let (a, b) = (all[one], all[other])
      if !contents.isEmpty, a.weight != b.weight {
        return a.weight.order.lexicographicallyPrecedes(b.weight.order)
      }
      if a.diff.identity != b.diff.identity { return a.diff.identity.isLess(than: b.diff.identity) }
      return a.weight.order.lexicographicallyPrecedes(b.weight.order)
    }
    var seen: [Fingerprint: UInt32] = [:]
    var draws: [DrawIdentity] = []
    for number in given where !contents.isEmpty {
      let ordinal = seen[contents[number], default: 0]
      seen[contents[number]] = ordinal + 1
      draws.append(DrawIdentity(contents: contents[number], ordinal: ordinal))
    }
    self.given = given
    self.draws = draws
    inputs = given.map { all[$0] }
    diffs = inputs.map(\.diff)
    tensors = try AlignedTensor.all(diffs)
  }
}

extension Fingerprint {
  fileprivate func isLess(than other: Fingerprint) -> Bool { (high, low) < (other.high, other.low) }
}
