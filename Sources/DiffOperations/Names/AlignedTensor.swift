import DiffFormat
import TensorCore

/// A tensor that one or more of several diffs change. Takes little memory, since entries are read
/// when they are needed.
struct AlignedTensor: Sendable {
  /// The name in the first diff that has it, and what it has in common with the others.
  let name: TensorName
  let key: TensorName.Key
  /// The numbers of the diffs that have it, ascending, and of the entry in each.
  private var places: [(diff: Int32, entry: Int32)] = []

  /// All tensors of `diffs`, in order of names; '/' and '.' are the same separator.
  ///
  /// - Throws: `mismatch` if a diff holds two names that differ in the separator only.
  /// - Complexity: O(n log n) in entries.
  static func all(_ diffs: [DiffReader]) throws(DiffError) -> [AlignedTensor] {
    var numbers: [TensorName.Key: Int] = [:]
    var tensors: [AlignedTensor] = []
    for (diff, reader) in diffs.enumerated() {
      // Most diffs change the tensors that the first one does: then the next name is the next one.
      var place = -1
      for (number, entry) in reader.enumerated() {
        place += 1
        if place >= tensors.count || tensors[place].name != entry.name {
          let key = entry.name.key
          place = numbers[key] ?? tensors.count
          if place == tensors.count {
            numbers[key] = place
            tensors.append(AlignedTensor(name: entry.name, key: key))
          }
        }
        if let last = tensors[place].places.last, last.diff == diff {
          throw reader.ambiguous(entry.name, reader[Int(last.entry)].name)
        }
        tensors[place].places.append((Int32(diff), Int32(number)))
      }
    }
    return tensors.sorted { $0.name < $1.name }
  }

  private init(name: TensorName, key: TensorName.Key) {
    self.name = name
    self.key = key
  }

  /// The entries, each with the number of its diff, ascending.
  func entries(in diffs: [DiffReader]) -> [(diff: Int, entry: DiffEntry)] {
    places.map { (Int($0.diff), diffs[Int($0.diff)][Int($0.entry)]) }
  }
}
