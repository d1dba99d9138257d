import DiffFormat
import TensorCore

/// A tensor that one or more of several diffs change. It takes little memory, since entries are
/// read on demand.
struct AlignedTensor: Sendable {
  /// The name in the first diff that has the tensor, and the key that all its names share.
  let name: TensorName
  let key: TensorName.Key
  /// The indices of the diffs that have the tensor, ascending, and of its entry in each.
  private var indices: [(diff: Int32, entry: Int32)] = []

  /// Returns all tensors of `diffs`, in order of names; '/' and '.' are the same separator.
  ///
  /// - Throws: `mismatch` if a diff holds two names that differ only in the separator.
  /// - Complexity: O(n log n) in entries.
  static func all(_ diffs: [DiffReader]) throws(DiffError) -> [AlignedTensor] {
    var known: [TensorName.Key: Int] = [:]
    var tensors: [AlignedTensor] = []
    for (diff, reader) in diffs.enumerated() {
      // Most diffs change the same tensors as the first: then the next name is the next tensor.
      var index = -1
      for (entryIndex, entry) in reader.enumerated() {
        index += 1
        if index >= tensors.count || tensors[index].name != entry.name {
          let key = entry.name.key
          index = known[key] ?? tensors.count
          if index == tensors.count {
            known[key] = index
            tensors.append(AlignedTensor(name: entry.name, key: key))
          }
        }
        if let last = tensors[index].indices.last, last.diff == diff {
          throw reader.ambiguous(entry.name, reader[Int(last.entry)].name)
        }
        tensors[index].indices.append((Int32(diff), Int32(entryIndex)))
      }
    }
    return tensors.sorted { $0.name < $1.name }
  }

  private init(name: TensorName, key: TensorName.Key) {
    self.name = name
    self.key = key
  }

  /// Returns the entries, each with the index of its diff, ascending.
  func entries(in diffs: [DiffReader]) -> [(diff: Int, entry: DiffEntry)] {
    indices.map { (Int($0.diff), diffs[Int($0.diff)][Int($0.entry)]) }
  }
}
