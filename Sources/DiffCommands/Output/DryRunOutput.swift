import DiffOperations
import TensorCore

/// The output of `merge --dry-run`.
struct MergePreviewOutput: CommandOutput {
  let method: String
  let size: UInt64
  let changes, elements: UInt64
  /// Changes / elements of the tensors that change.
  let density: Double
  let shared, opposite, beyondRange, rounded, cancelled: UInt64
  let pairs: [OverlapTable.Row]
  /// Whole tensors that differ, without a `--head` that chooses between them.
  let clashingHeads: [String]
  let conflicts: Bool
  let notes: [String]

  private let table: OverlapTable
  private enum CodingKeys: String, CodingKey {
    case method, size, changes, elements, density, shared, opposite, beyondRange, rounded
    case cancelled, pairs, clashingHeads, conflicts, notes
  }

  init(
    _ options: MergeOptions, size: UInt64, _ summary: MergeSummary, clashing: [TensorName],
    _ table: OverlapTable, notes: [String]
  ) {
    self.notes = notes
    let total = summary.total
    method = options.method.rawValue
    self.size = size
    (changes, elements) = (total.changes, total.elements)
    density = total.elements > 0 ? Double(total.changes) / Double(total.elements) : 0
    (shared, opposite) = (total.shared, total.opposite)
    (beyondRange, rounded, cancelled) = (total.beyondRange, total.rounded, total.cancelled)
    pairs = table.rows
    clashingHeads = clashing.map(\.description)
    conflicts = total.opposite > 0 || !clashing.isEmpty
    self.table = table
  }

  var text: String {
    var out =
      "would be: \(size.bytes), \(changes.counted("change")), \(density.percent) of the elements "
      + "(\(method))\n"
    out += table.text
    for name in clashingHeads {
      out += "heads that differ, choose with --head: \(name.escapingControls)\n"
    }
    if beyondRange + rounded + cancelled > 0 {
      out += "beyond the range: \(beyondRange.grouped); rounded to zero: \(rounded.grouped); "
      out += "cancelled: \(cancelled.grouped)\n"
    }
    for note in notes { out += "note: \(note.escapingControls)\n" }
    return out + (conflicts ? "conflicts\n" : "no conflicts\n")
  }
}

/// The output of `apply --dry-run` and `revert --dry-run`.
struct TransferPreviewOutput: CommandOutput {
  struct Tensor: Encodable {
    let name, operation: String
    let elements, changes, infinite: UInt64
  }

  let source: String
  /// `would-apply`, `would-revert`, `already-applied` or `already-reverted`.
  let outcome: String
  let tensors: [Tensor]
  /// The bytes of all tensors of the result.
  let size: UInt64
  /// The changes of all diffs / elements of the tensors that change.
  let density: Double
  let pairs: [OverlapTable.Row]
  /// Tensors that several diffs insert or reshape.
  let clashingHeads: [String]
  let conflicts: Bool
  let notes: [String]

  private let table: OverlapTable?
  private enum CodingKeys: String, CodingKey {
    case source, outcome, tensors, size, density, pairs, clashingHeads, conflicts, notes
  }

  init(
    _ source: String, _ direction: Direction, _ preview: TransferPreview, _ table: OverlapTable?,
    notes: [String]
  ) {
    self.source = source
    self.notes = notes
    size = preview.size
    let elements = preview.tensors.reduce(0.0) { $0 + Double($1.elements) }
    density = elements > 0 ? preview.tensors.reduce(0.0) { $0 + Double($1.changes) } / elements : 0
    clashingHeads = preview.clashing.map(\.description)
    let word =
      direction == .apply
      ? ("would-apply", "already-applied") : ("would-revert", "already-reverted")
    outcome = preview.isDone ? word.1 : word.0
    tensors = preview.tensors.map {
      Tensor(
        name: "\($0.name)", operation: $0.operation, elements: $0.elements, changes: $0.changes,
        infinite: $0.infinite)
    }
    pairs = table?.rows ?? []
    conflicts = table?.hasConflicts ?? false || !preview.clashing.isEmpty
    self.table = table
  }

  var text: String {
    let name = source.escapingControls
    guard outcome.hasPrefix("would") else {
      return "\(name): \(outcome.replacing("-", with: " "))\n" + noted
    }
    let kinds = Dictionary(grouping: tensors, by: \.operation).sorted { $0.key < $1.key }
      .map { "\($0.value.count) \($0.key)" }.joined(separator: ", ")
    var out =
      tensors.isEmpty
      ? "\(name): no tensor would change\n"
      : "\(name): \(tensors.counted) would change (\(kinds))\n"
    out += "would be: \(size.bytes) of tensors; changes: \(density.percent) of the elements\n"
    let infinite = tensors.reduce(0) { $0 + $1.infinite }
    if infinite > 0 { out += "\(infinite.counted("element")) would become infinite\n" }
    if let table { out += table.text }
    for name in clashingHeads {
      out += "changed in several ways, merge the diffs first: \(name.escapingControls)\n"
    }
    return out + noted
  }

  private var noted: String { notes.map { "note: \($0.escapingControls)\n" }.joined() }
}

extension [TransferPreviewOutput.Tensor] {
  fileprivate var counted: String { count.counted("tensor") }
}
