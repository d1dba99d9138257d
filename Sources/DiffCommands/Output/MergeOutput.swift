import DiffOperations

/// The output of `merge`.
struct MergeOutput: CommandOutput {
  struct Tensor: Encodable {
    let name: String
    let diffs: Int
    let elements, read, changes, shared, opposite: UInt64
  }

  let output, method: String
  let size: UInt64
  let diffs: Int
  let elements, read, changes, shared, opposite, beyondRange, rounded, cancelled, undivided: UInt64
  let tensors: [Tensor]
  let whole, droppedHeads, grown, attributesLeftOut, notes: [String]

  init(
    _ path: String, size: UInt64, _ options: MergeOptions, diffs: Int, summary: MergeSummary,
    notes: [String] = []
  ) {
    let total = summary.total
    output = path
    self.size = size
    self.diffs = diffs
    method = options.method.rawValue
    (elements, read, changes) = (total.elements, total.read, total.changes)
    (shared, opposite, beyondRange) = (total.shared, total.opposite, total.beyondRange)
    (rounded, cancelled, undivided) = (total.rounded, total.cancelled, total.undivided)
    tensors = summary.tensors.map {
      Tensor(
        name: "\($0.name)", diffs: $0.diffs, elements: $0.elements, read: $0.read,
        changes: $0.changes,
        shared: $0.shared, opposite: $0.opposite)
    }
    whole = summary.whole.map(\.description)
    droppedHeads = summary.dropped.map(\.description)
    attributesLeftOut = summary.attributesLeftOut.map(\.description)
    grown = summary.grown.map(\.description)
    self.notes = notes + summary.notes
  }

  var notesInText: [String] { notes }

  var text: String {
    var out =
      "\(output.escapingControls): \(size.bytes), \(changes.counted("change")) out of \(read.grouped) "
      + "of \(diffs.counted("diff")) (\(method))\n"
    out +=
      "conflicts: \(shared.counted("position")) changed by several, \(opposite.grouped) of them in "
      + "opposite directions\n"
    let conflicts = tensors.filter { $0.shared > 0 }
      .sorted { ($0.opposite, $0.shared) > ($1.opposite, $1.shared) }
    if !conflicts.isEmpty {
      var table = TextTable(
        ["most conflicts", "diffs", "changes", "shared", "opposite"], rightAligned: [1, 2, 3, 4])
      for tensor in conflicts.prefix(10) {
        table.add([
          tensor.name, "\(tensor.diffs)", tensor.changes.grouped, tensor.shared.grouped,
          tensor.opposite.grouped,
        ])
      }
      out += table.text
    }
    out += losses
    if !whole.isEmpty { out += "whole tensors: \(whole.count)\n" }
    for name in grown { out += "rows chosen: \(name.escapingControls)\n" }
    for name in droppedHeads { out += "head left out: \(name.escapingControls)\n" }
    out += leftOut(attributesLeftOut)
    for note in notes { out += "note: \(note.escapingControls)\n" }
    return out
  }

  /// A line on changes that were lost; empty if there are none.
  private var losses: String {
    let parts = [
      (beyondRange, "beyond the range of the tensors: such elements become infinite"),
      (rounded, "rounded to zero and left out"),
      (cancelled, "cancelled and left out"),
      (undivided, "not divided, since the weights of the elected changes cancel"),
    ].filter { $0.0 > 0 }.map { "\($0.0.counted("change")) \($0.1)" }
    return parts.isEmpty ? "" : parts.joined(separator: "; ") + "\n"
  }
}

extension MergeSummary {
  /// Notes on what may not be as it was meant.
  var notes: [String] {
    var notes = unrelated.map {
      "\($0) changes no tensor that another diff changes; do the diffs belong to one model?"
    }
    notes += untrimmed.map { "the density trims nothing of \($0), which is not denser" }
    if total.changes == 0 && whole.isEmpty && grown.isEmpty {
      notes.append("nothing is left: the merged diff does not change the base")
    }
    return notes
  }
}
