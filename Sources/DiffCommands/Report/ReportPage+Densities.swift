import DiffFormat
import DiffOperations

extension ReportPage {
  /// Adds the densities by kind of tensor and layer, as in Guo, Rush and Kim (2021), and a table of
  /// all tensors.
  func densities(_ diff: ReportContents.Diff, _ section: inout Markup) {
    let grid = diff.grid
    section.element("h3", text: "Density by layer and kind of tensor")
    let layers = grid.sections.filter(\.isLayer)
    let rows = grid.rows
    let (step, size) = (24, layers.count > 30 ? 16 : 26)
    let left = 20 + 7 * (rows.map(\.label.count).max() ?? 0)
    let columns = max(1, layers.count)
    section.figure(
      "Changed elements / all elements; the maximum is \(grid.highest.percent).",
      width: left + columns * size + 90, height: (rows.count + 1) * step
    ) { svg in
      // The numbers of the layers are above the first row that has layers.
      let first = rows.firstIndex { $0.isLayered } ?? rows.count
      if first < rows.count {
        svg.label("layer", x: left - 8, y: first * step + 16, anchor: "end")
      }
      for (index, layer) in layers.enumerated() where size > 20 || index % 2 == 0 {
        let x = left + index * size + size / 2 - 1
        svg.label(layer.name, x: x, y: first * step + 16, anchor: "middle")
      }
      for (index, row) in rows.enumerated() {
        let y = (index < first ? index : index + 1) * step
        svg.label(row.label, x: left - 8, y: y + 15, anchor: "end")
        for (column, cell) in row.cells.enumerated() {
          guard let cell else { continue }
          let layer = row.isLayered ? "layer \(layers[column].name): " : ""
          svg.cell(
            x: left + column * size, y: y,
            width: (row.isLayered ? size : columns * size) - 2, height: step - 2,
            share: grid.highest == 0 ? 0 : cell.density / grid.highest,
            title: "\(row.label), \(layer)\(cell.density.percent)")
        }
        svg.label(row.total.density.percent, x: left + columns * size + 6, y: y + 15)
      }
    }
    if grid.highest > 0 { section.scale(grid.highest.percent) }
    section.folded(
      "All tensors", ["tensor", "operation", "elements", "changes", "density", "bytes per change"],
      diff.report.entries.map { entry, statistics in
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

  /// The rows in the order of a model: sections before the layers, kinds of tensors in the layers,
  /// sections after the layers; then the totals of the layers and of the diff.
  var rows: [Row] {
    let layers = sections.filter(\.isLayer)
    var rows: [Row] = []
    for section in sections where !section.isLayer && section < .layer(0) {
      rows += self.rows(of: section)
    }
    for kind in kinds where layers.contains(where: { cells[$0]?[kind] != nil }) {
      let cells = layers.map { self.cells[$0]?[kind] }
      let total = layers.reduce(into: Cell()) { sum, layer in
        if let cell = self.cells[layer]?[kind] { sum.add(cell) }
      }
      rows.append(Row(label: kind, isLayered: true, cells: cells, total: total))
    }
    for section in sections where !section.isLayer && section > .layer(0) {
      rows += self.rows(of: section)
    }
    if layers.count > 0 {
      rows.append(
        Row(
          label: "all", isLayered: true, cells: layers.map { self.total(section: $0) },
          total: total()))
    }
    return rows
  }

  private func rows(of section: Section) -> [Row] {
    (cells[section] ?? [:]).sorted { $0.key < $1.key }.map {
      Row(label: "\(section.name) \($0.key)", cells: [$0.value], total: $0.value)
    }
  }
}
