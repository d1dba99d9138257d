import DiffFormat
import TensorCore

/// A diff in one of its two directions: a step from one checkpoint to another.
package struct DiffStep: Sendable {
  package let diff: DiffReader
  package let direction: Direction

  package init(_ diff: DiffReader, _ direction: Direction = .apply) {
    self.diff = diff
    self.direction = direction
  }

  /// Returns the steps of diffs applied one after the other, or reverted from the last to the
  /// first.
  static func all(_ diffs: [DiffReader], _ direction: Direction) -> [DiffStep] {
    (direction == .apply ? diffs : diffs.reversed()).map { DiffStep($0, direction) }
  }
}

/// The entries of several steps for one tensor, in order.
struct StepChain {
  var entries: [DirectedEntry]

  var first: DirectedEntry { entries[0] }
  var last: DirectedEntry { entries[entries.count - 1] }

  /// True if no step reverts an `add` or `replace`, which keeps no old values.
  var isComputable: Bool {
    entries.allSatisfy { !$0.isReversed || $0.entry.operation.isReversible }
  }

  /// True if only elements of an existing tensor change, in steps that can all be computed.
  var changesElementsAlone: Bool {
    isComputable && !entries.contains { $0.isReshape || $0.inserts || $0.deletes }
  }

  /// Returns the chains of all tensors, in order of names.
  ///
  /// - Throws: `mismatch` if an entry does not follow from the previous one by its fingerprints,
  ///   type and shape.
  static func all(_ steps: [DiffStep]) throws(DiffError) -> [StepChain] {
    var chains: [TensorName.Key: StepChain] = [:]
    for (number, step) in steps.enumerated() {
      try step.diff.checkNames()
      for entry in step.diff {
        let next = DirectedEntry(
          reader: step.diff, entry: try step.diff.fingerprintingWhole(entry), number: number,
          isReversed: step.direction == .revert)
        let key = entry.name.key.bare
        guard let last = chains[key]?.last else {
          chains[key] = StepChain(entries: [next])
          continue
        }
        guard next.follows(last) else {
          throw DiffError(
            .mismatch,
            "does not begin with the result of \(last.reader.path ?? "the previous diff")",
            path: step.diff.path, tensor: entry.name)
        }
        chains[key]?.entries.append(next)
      }
    }
    return chains.values.sorted { $0.first.entry.name < $1.first.entry.name }
  }
}

extension DirectedEntry {
  /// Returns whether this entry begins with the result of the other.
  func follows(_ other: DirectedEntry) -> Bool {
    guard !other.deletes else { return inserts }
    return !inserts && before != nil && before == other.after && entry.type == other.entry.type
      && shapeBefore == other.shapeAfter
  }
}
