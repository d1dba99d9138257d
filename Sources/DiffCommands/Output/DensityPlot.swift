import TensorCore

extension DensityGrid {
  /// The densities in block characters: kinds of tensors by layer, and tensors outside the layers.
  var plot: String {
    let layers = sections.filter(\.isLayer)
    let rows = self.rows(like: self)
    let available = max(12, (Terminal.width ?? 100) - 3 * layers.count - 11)
    let width = min(available, rows.map { $0.label.escapingControls.count }.max() ?? 0)
    var out = "density by kind of tensor and layer; the full block is \(highest.percent)\n\n"
    if !layers.isEmpty {
      let numbers = layers.map { $0.name.padding(to: 3) }.joined()
      out += ("".padding(to: width + 2) + numbers + " all").styled(.bold) + "\n"
    }
    for row in rows {
      out += row.label.escapingControls.shortened(to: width).padding(to: width + 2)
      out += row.cells.map(shade).joined().styled(.cyan)
      out += String(repeating: "   ", count: max(0, layers.count - row.cells.count))
      out += " \(row.total.density.percent)\n"
    }
    return out
  }

  /// Returns a block as high as the density, dots for 0, and spaces if there is no such tensor.
  private func shade(_ cell: Cell?) -> String {
    guard let cell else { return "   " }
    guard cell.changes > 0, highest > 0 else { return "·· " }
    let levels = Array("▁▂▃▄▅▆▇█")
    let level = min(levels.count - 1, Int(cell.density / highest * Double(levels.count)))
    return String(repeating: levels[level], count: 2) + " "
  }
}

extension String {
  /// Returns the text, padded with spaces to `width` columns.
  fileprivate func padding(to width: Int) -> String {
    self + String(repeating: " ", count: max(0, width - columns))
  }
}
