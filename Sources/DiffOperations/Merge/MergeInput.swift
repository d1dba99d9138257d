import DiffFormat
import SystemSupport
import TensorCore

/// A diff that takes part in a merge.
public struct MergeInput: Sendable {
  /// The diff, open.
  public var diff: DiffReader
  /// w: the weight. With a weight of 0 the diff takes no part in the tensor: it does not vote or
  /// count in a mean. Methods that compute their own weights allow only 1, and 0 for no part.
  public var weight: MergeSetting
  /// d, γ and ε of this diff, overriding those of the options.
  public var density, gamma, epsilon: MergeSetting?

  /// Creates an input with a weight.
  public init(_ diff: DiffReader, weight: Double = 1) {
    self.diff = diff
    self.weight = MergeSetting(weight)
  }

  /// The identity of the diff that this one was derived from, or the fingerprint of the checkpoint,
  /// if any.
  package var original: Fingerprint?
  /// The identity of the diff, or the fingerprint of the checkpoint, as given.
  var identity: Fingerprint { original ?? diff.identity }

  /// The name of the diff in messages.
  var name: String { diff.path ?? "diff \(diff.identity)" }
}

extension [MergeInput] {
  /// The names of the tensors that are merged as deltas, in order.
  package var changedTensors: [TensorName] {
    Set(flatMap { $0.diff.filter { $0.isAddition || $0.isReshape }.map(\.name) }).sorted()
  }
}

/// The diffs of a merge in canonical order. Sums of rounded numbers depend on the order of the
/// terms, so this makes the result independent of the order given.
struct MergeInputs: Sendable {
  /// The inputs, sorted by identity, then weight; for random methods by contents first, so that
  /// random choices depend only on these.
  let inputs: [MergeInput]
  /// The index of each input in the order given.
  let given: [Int]
  /// The diffs of `inputs`, and their tensors in order of names.
  let diffs: [DiffReader]
  let tensors: [AlignedTensor]
  /// The identity that the random choices of each diff depend on; empty for methods without random
  /// choices.
  let draws: [DrawIdentity]

  /// Sorts diffs and aligns their tensors; '/' and '.' are the same separator.
  ///
  /// - Parameter drawing: whether the method makes random choices.
  /// - Throws: `mismatch` if a diff holds two names that differ only in the separator.
  /// - Complexity: O(n log n) in entries; with `drawing`, O(changes) on all cores.
  init(_ all: [MergeInput], drawing: Bool) throws(DiffError) {
    var contents: [Fingerprint] = []
    if drawing {
      var pairs = all.map { (diff: $0.diff, contents: Fingerprint(high: 0, low: 0)) }
      try parallelForEach(&pairs) { _, pair throws(DiffError) in
        pair.contents = try pair.diff.contentsIdentity()
      }
      contents = pairs.map(\.contents)
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
