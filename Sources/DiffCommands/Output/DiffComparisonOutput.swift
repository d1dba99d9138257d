import DiffOperations
import TensorCore

/// The output of `compare` for diffs.
struct DiffComparisonOutput: CommandOutput {
  struct Diff: Encodable {
    let path: String
    let changes: UInt64
    let norm: Double?
    /// The number of positions whose values differ from those of the first diff.
    let differing: UInt64
    let same: Bool
  }

  struct Figures: Encodable {
    let shared: UInt64
    let jaccard: Double
    let cosine, signAgreement, normRatio: Double?

    init(_ pair: DiffComparison.Pair) {
      shared = pair.shared
      jaccard = pair.jaccard
      cosine = pair.cosine
      signAgreement = pair.signAgreement
      normRatio = pair.normRatio
    }
  }

  struct Tensor: Encodable {
    let name: String
    let elements, differing: UInt64
    let changes: [UInt64]
    let figures: Figures
  }

  struct Note: Encodable {
    let path, tensor, what: String
  }

  let same: Bool
  let diffs: [Diff]
  /// The comparison of the diff of each row with that of each column, row by row.
  let matrix: [[Figures]]
  let tensors: [Tensor]
  let notes: [Note]
  /// Rules of `--map` that no name of the diffs matches.
  let vainRules: [String]

  init(_ paths: [String], _ comparison: DiffComparison, vainRules: [String]) {
    self.vainRules = vainRules
    same = comparison.areSame
    diffs = paths.enumerated().map { index, path in
      Diff(
        path: path, changes: comparison.changes[index], norm: comparison.norms[index],
        differing: comparison.differing[index], same: comparison.isSame(index))
    }
    matrix = paths.indices.map { row in
      paths.indices.map { Figures(comparison.pair(row, $0)) }
    }
    tensors = comparison.tensors.map {
      Tensor(
        name: "\($0.name)", elements: $0.elements, differing: $0.differing,
        changes: [$0.pair.changes.0, $0.pair.changes.1], figures: Figures($0.pair))
    }
    notes = comparison.notes.map {
      Note(path: paths[$0.diff], tensor: "\($0.tensor)", what: $0.what)
    }
  }

  var text: String {
    var out = diffs.count == 2 ? pairText : matrixText
    out += noteText + MapOption.text(vainRules: vainRules)
    if diffs.contains(where: { $0.norm == nil }) {
      out += "cosine, signs and norms need the deltas; for exact diffs, give --base\n"
    }
    return out + (same ? "same".styled(.green) : "different".styled(.yellow)) + "\n"
  }

  /// A line for each kind of note, with the first of its tensors.
  private var noteText: String {
    let kinds = Dictionary(grouping: notes) { [$0.path, $0.what] }
    let lines = kinds.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, notes in
      let more = notes.count > 1 ? " and \(notes.count - 1) more" : ""
      return "\(key[0]): \(key[1]): \(notes[0].tensor)\(more)".escapingControls + "\n"
    }
    let rest = lines.count > 20 ? "and \(lines.count - 20) more such lines (--json)\n" : ""
    return lines.prefix(20).joined() + rest
  }

  private var pairText: String {
    var table = TextTable(
      [
        "tensor", "changes", "and", "shared", "Jaccard", "cosine", "signs agree", "norms",
        "values differ",
      ], rightAligned: Set(1...8))
    for tensor in tensors {
      table.add(
        row(tensor.name, tensor.changes, tensor.figures, differing: tensor.differing))
    }
    table.add(row("all", diffs.map(\.changes), matrix[0][1], differing: diffs[1].differing))
    return table.text + "\n"
  }

  private func row(
    _ name: String, _ changes: [UInt64], _ figures: Figures, differing: UInt64
  ) -> [String] {
    [
      name, changes[0].grouped, changes[1].grouped, figures.shared.grouped,
      figures.jaccard.fixed(4), figures.cosine?.fixed(4) ?? "–",
      figures.signAgreement?.percent ?? "–", figures.normRatio?.fixed(3) ?? "–", differing.grouped,
    ]
  }

  private var matrixText: String {
    var table = TextTable(
      ["", "diff", "changes", "norm", "same as 1"], rightAligned: [0, 2, 3],
      shrinking: [1])
    for (index, diff) in diffs.enumerated() {
      table.add([
        "\(index + 1)", diff.path, diff.changes.grouped, diff.norm?.brief ?? "–",
        diff.same ? "yes" : "no",
      ])
    }
    var out = table.text + "\n"
    out += matrix("Jaccard") { $0.jaccard.fixed(3) }
    if diffs.contains(where: { $0.norm != nil }) {
      out += matrix("cosine") { $0.cosine?.fixed(3) ?? "–" }
      out += matrix("signs agree, %") { $0.signAgreement.map { ($0 * 100).fixed(1) } ?? "–" }
      out += matrix("norm of the column / norm of the row") { $0.normRatio?.fixed(3) ?? "–" }
    }
    return out
  }

  /// Returns a matrix as one or more tables whose columns fit the width.
  private func matrix(_ title: String, _ cell: (Figures) -> String) -> String {
    let perTable = max(1, ((Terminal.width ?? 120) - 5) / 9)
    var out = title.styled(.bold) + "\n"
    for start in stride(from: 0, to: diffs.count, by: perTable) {
      let columns = start..<min(start + perTable, diffs.count)
      var table = TextTable(
        [""] + columns.map { "\($0 + 1)" }, rightAligned: Set(0...columns.count), shrinking: [])
      for row in diffs.indices {
        table.add(["\(row + 1)"] + columns.map { cell(matrix[row][$0]) })
      }
      out += table.text + "\n"
    }
    return out
  }
}
