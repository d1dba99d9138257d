import DiffFormat
import TensorCore

/// A tensor that one or more of several diffs change.
struct AlignedTensor: Sendable {
  /// Its name in the first diff that has it.
  let name: TensorName
  /// The entries, each with the index of its diff, ascending.
  let entries: [(diff: Int, entry: DiffEntry)]

  /// All tensors of `diffs`, in order of names; '/' and '.' are the same separator.
  ///
  /// - Throws: `mismatch` if a diff holds two names that differ in the separator only.
  /// - Complexity: O(n log n) in entries.
  static func all(_ diffs: [DiffReader]) throws(DiffError) -> [AlignedTensor] {
    var found: [TensorName.Key: [(diff: Int, entry: DiffEntry)]] = [:]
    for (index, diff) in diffs.enumerated() {
      try diff.checkNames()
      for entry in diff { found[entry.name.key, default: []].append((index, entry)) }
    }
    return found.sorted { $0.key < $1.key }
      .map { AlignedTensor(name: $0.value[0].entry.name, entries: $0.value) }
  }
}
