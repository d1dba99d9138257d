import TensorCore

extension DensityGrid {
  /// The densities in block characters: kinds of tensors by layers, then what no layer holds.
  var plot: String {
    let layers = places.filter(\.isLayer)
    let inside = kinds.filter { kind in layers.contains { cells[$0]?[kind] != nil } }
    let others = places.filter { !$0.isLayer }
    var names = inside + ["all"]
    for place in others { names += (cells[place] ?? [:]).keys.map { "\(place.name) \($0)" } }
    let room = max(12, (Terminal.width ?? 100) - 3 * layers.count - 10)
    let width = min(room, names.map { $0.escapingControls.count }.max() ?? 0)
    var out = "density by kind of tensor and layer; the full block is \(highest.percent)\n\n"
    func line(_ name: String, _ shades: String, _ cell: Cell) {
      let name = name.escapingControls.shortened(to: width)
      out += name + String(repeating: " ", count: width - name.count) + "  "
      out += shades.styled(.cyan) + " \(cell.density.percent)\n"
    }
    if !layers.isEmpty {
      let numbers = layers.map { place in
        place.name + String(repeating: " ", count: max(0, 3 - place.name.count))
      }
      out += String(repeating: " ", count: width + 2) + numbers.joined() + " all\n"
    }
    for kind in inside {
      line(kind, layers.map { shade(cells[$0]?[kind]) }.joined(), total(kind: kind))
    }
    if !layers.isEmpty {
      line("all", layers.map { shade(total(place: $0)) }.joined(), total())
    }
    for place in others {
      for kind in kinds {
        guard let cell = cells[place]?[kind] else { continue }
        line("\(place.name) \(kind)", shade(cell), cell)
      }
    }
    return out
  }

  /// A block as high as the density, a dot for none, nothing where there is no such tensor.
  private func shade(_ cell: Cell?) -> String {
    guard let cell else { return "   " }
    guard cell.changes > 0, highest > 0 else { return "·· " }
    let levels = Array("▁▂▃▄▅▆▇█")
    let level = min(levels.count - 1, Int(cell.density / highest * Double(levels.count)))
    return String(repeating: levels[level], count: 2) + " "
  }
}
