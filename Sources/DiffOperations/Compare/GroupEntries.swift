import Checkpoints
import DiffFormat
import TensorCore

/// Groups the sparse entries of diffs by tensor, type and shape, and notes differences that cannot
/// be compared position by position.
func group(
  _ diffs: [DiffReader], _ base: (any Checkpoint)?, _ map: NameMap
) throws(DiffError) -> (groups: [ChangeGroup], notes: [DiffComparison.Note]) {
  var groups: [ChangeGroup] = []
  var notes: [DiffComparison.Note] = []
  var noted = [Int](repeating: 0, count: diffs.count)
  func note(_ diff: Int, _ tensor: TensorName, _ what: String) {
    noted[diff] += 1
    if noted[diff] <= DiffComparison.noteLimit {
      notes.append(.init(diff: diff, tensor: tensor, what: what))
    }
  }
  let names = base.map { TensorNames($0, map) }
  if base != nil {
    for diff in diffs { try map.requireDistinct(diff.map(\.name), of: diff.path) }
  }
  for tensor in try AlignedTensor.all(diffs) {
    let entries = tensor.entries(in: diffs)
    let first = entries[0].diff == 0 ? entries[0].entry : nil
    var here: [ChangeGroup] = []
    for (diff, entry) in entries {
      if diff > 0, let what = try difference(first, entry, in: diffs[0], and: diffs[diff]) {
        note(diff, tensor.name, what)
      }
      guard entry.operation.isSparse else { continue }
      let index = here.firstIndex { $0.type == entry.type && $0.shape == entry.shape }
      if let index {
        here[index].entries.append((diff, entry))
      } else {
        here.append(
          ChangeGroup(
            name: tensor.name, type: entry.type, shape: entry.shape, entries: [(diff, entry)]))
      }
    }
    if first != nil && entries.count < diffs.count {
      let present = Set(entries.map(\.diff))
      for diff in diffs.indices where !present.contains(diff) {
        note(diff, tensor.name, "is changed only by the first")
      }
    }
    if let base, let names {
      for index in here.indices { try here[index].attach(base, names, diffs) }
    }
    groups += here
  }
  return (groups, notes)
}

/// Returns how an entry differs from that of the first diff, apart from values; nil if it does not.
private func difference(
  _ first: DiffEntry?, _ other: DiffEntry, in firstDiff: DiffReader, and diff: DiffReader
) throws(DiffError) -> String? {
  guard let first else { return "is not changed by the first" }
  guard first.type == other.type, first.shape == other.shape else {
    return "\(other.type) \(other.shape), not \(first.type) \(first.shape)"
  }
  guard first.operation.name == other.operation.name else {
    return "\(other.operation.name), not \(first.operation.name)"
  }
  let (one, two) = (try firstDiff.fingerprintingWhole(first), try diff.fingerprintingWhole(other))
  if let base = one.base, let otherBase = two.base, base != otherBase {
    return "made for another base"
  }
  switch other.operation {
  case .add, .replace, .xor: return nil
  case .insert: return one.result == two.result ? nil : "different elements"
  case .delete: return one.base == two.base ? nil : "different elements"
  case .reshape:
    let isSame =
      first.operation == other.operation
      && (one.result != nil && one.result == two.result || first.hasPages(of: other))
    return isSame ? nil : "a different shape or different elements"
  }
}

extension DiffOperation {
  /// True if the entry holds only changes at positions.
  fileprivate var isSparse: Bool {
    switch self {
    case .add, .replace, .xor: true
    case .insert, .delete, .reshape: false
    }
  }
}

extension DiffEntry {
  /// Returns whether the stored pages are the same.
  fileprivate func hasPages(of other: DiffEntry) -> Bool {
    DiffStream.allCases.allSatisfy { stream in
      (pages[stream] ?? []).map(\.checksum) == (other.pages[stream] ?? []).map(\.checksum)
    }
  }
}

extension ChangeGroup {
  /// Finds the tensor in the base and checks that it is the base of the exact entries.
  fileprivate mutating func attach(
    _ checkpoint: any Checkpoint, _ names: TensorNames, _ diffs: [DiffReader]
  ) throws(DiffError) {
    let exact = entries.filter { $0.entry.operation.isExact }
    guard let first = exact.first, type.float != nil else { return }
    guard let stored = try names.find(first.entry.name) else {
      throw DiffError(.mismatch, "is not in the base", path: checkpoint.path, tensor: name)
    }
    guard stored.type == type, stored.shape == shape else {
      throw DiffError(
        .mismatch, "is \(stored.type) \(stored.shape) in the base, not \(type) \(shape)",
        path: checkpoint.path, tensor: name)
    }
    let found = try checkpoint.fingerprint(of: stored)
    for (diff, entry) in exact where entry.base != nil && entry.base != found {
      throw DiffError(
        .wrongBase, "is not the one that '\(diffs[diff].path ?? "a diff")' was made for",
        path: checkpoint.path, tensor: name)
    }
    base = (checkpoint, stored)
  }
}
