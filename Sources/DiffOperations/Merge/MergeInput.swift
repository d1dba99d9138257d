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
  /// The tensors of all diffs, in order of names.
  let tensors: [Place]

  /// Where a tensor is in the diffs: O(1) memory for each, since entries are read when needed.
  struct Place: Sendable {
    /// The name in the first diff that has it, and what it has in common with the others.
    let name: TensorName
    let key: TensorName.Key
    /// The numbers of the diff and of its entry.
    var entries: [(diff: Int32, entry: Int32)]
  }

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
    var numbers: [TensorName.Key: Int] = [:]
    var places: [Place] = []
    for (diff, input) in inputs.enumerated() {
      for (number, entry) in input.diff.enumerated() {
        let key = entry.name.key
        let place = numbers[key] ?? places.count
        if place == places.count {
          numbers[key] = place
          places.append(Place(name: entry.name, key: key, entries: []))
        }
        if let last = places[place].entries.last, last.diff == diff {
          throw DiffError(
            .mismatch,
            "differs from '\(input.diff[Int(last.entry)].name)' in the separator only; the diff "
              + "is ambiguous", path: input.diff.path, tensor: entry.name)
        }
        places[place].entries.append((Int32(diff), Int32(number)))
      }
    }
    tensors = places.sorted { $0.name < $1.name }
  }

  /// The entries of a tensor, each with the number of its diff, ascending.
  func entries(of place: Place) -> [(diff: Int, entry: DiffEntry)] {
    place.entries.map { (Int($0.diff), inputs[Int($0.diff)].diff[Int($0.entry)]) }
  }
}
