import DiffFormat
import DiffOperations

extension ReportPage {
  /// Adds the densities by kind of tensor and layer, as in Guo, Rush and Kim (2021), with the same
  /// rows and one scale for all diffs, and tables of all tensors.
  func densities(_ body: inout Markup) {
    let grid = DensityGrid(of: contents.diffs.map(\.grid))
    let highest = contents.diffs.map(\.grid.highest).max() ?? 0
    let layers = grid.sections.filter(\.isLayer).map(\.name)
    body.element("section") { section in
      section.element("h2", text: "Density by layer and kind of tensor")
      section.note(
        "Changed elements / all elements of each tensor, by layer, and in all layers together. "
          + "Gray and empty cells have no changes.")
      section.element("div", [("class", "beside broad")]) { box in
        for (index, diff) in contents.diffs.enumerated() {
          box.figure("\(label(index)): maximum \(diff.grid.highest.percent)") { figure in
            figure.rows(.long) { rows in
              if !layers.isEmpty {
                rows.row("layer", "") { row in
                  row.element("div", [("class", "cells")]) { $0.columnNames(layers) }
                }
              }
              for row in diff.grid.rows(like: grid) {
                rows.row(row.label, row.total.density.percent) { picture in
                  picture.cells(
                    row.cells.enumerated().map { column, cell in
                      cell.map { cell in
                        let layer = row.isLayered ? ", layer \(layers[column])" : ""
                        return (
                          share: highest > 0 ? cell.density / highest : 0,
                          title: "\(row.label)\(layer): \(cell.density.percent)"
                        )
                      }
                    })
                }
              }
            }
          }
        }
      }
      if highest > 0 { section.scale(highest.percent) }
      for (index, diff) in contents.diffs.enumerated() { tensors(index, diff.report, &section) }
    }
  }

  private func tensors(_ index: Int, _ report: DiffReport, _ section: inout Markup) {
    section.folded(
      contents.diffs.count == 1 ? "All tensors" : "All tensors of \(label(index))",
      ["tensor", "operation", "elements", "changes", "density", "bytes per change"],
      report.entries.map { entry, statistics in
        [
          Cell("\(entry.name)"), Cell(entry.operation.name), Cell(statistics.elements),
          Cell(statistics.changes), Cell(statistics.density.percent, statistics.density),
          Cell(statistics.bytesPerChange.fixed(2), statistics.bytesPerChange),
        ]
      })
  }
}

extension DensityGrid {
  /// A row of the figure: a kind of tensor in each layer, or a tensor outside the layers.
  struct Row {
    let label: String
    var isLayered = false
    let cells: [Cell?]
    let total: Cell
  }

  /// Returns the rows in the order of a model: sections before the layers, kinds of tensors in the
  /// layers, sections after the layers; then the totals of the layers and of the diff.
  ///
  /// - Parameter all: A grid with the cells to show; those that this grid lacks have no changes.
  func rows(like all: DensityGrid) -> [Row] {
    func cell(_ section: Section, _ kind: String) -> Cell? {
      cells[section]?[kind] ?? (all.cells[section]?[kind] == nil ? nil : Cell())
    }
    func rows(of section: Section) -> [Row] {
      (all.cells[section] ?? [:]).keys.sorted().map { kind in
        let one = cell(section, kind) ?? Cell()
        return Row(label: "\(section.name) \(kind)", cells: [one], total: one)
      }
    }
    let layers = all.sections.filter(\.isLayer)
    var result: [Row] = []
    for section in all.sections where !section.isLayer && section < .layer(0) {
      result += rows(of: section)
    }
    for kind in all.kinds where layers.contains(where: { all.cells[$0]?[kind] != nil }) {
      let row = layers.map { cell($0, kind) }
      let total = row.reduce(into: Cell()) { sum, cell in if let cell { sum.add(cell) } }
      result.append(Row(label: kind, isLayered: true, cells: row, total: total))
    }
    for section in all.sections where !section.isLayer && section > .layer(0) {
      result += rows(of: section)
    }
    if !layers.isEmpty {
      result.append(
        Row(
          label: "all", isLayered: true, cells: layers.map { total(section: $0) },
          total: total()))
    }
    return result
  }
}
