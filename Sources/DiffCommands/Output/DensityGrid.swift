import DiffFormat
import DiffOperations
import TensorCore

/// The densities of a diff by layer and by kind of tensor.
struct DensityGrid {
  /// The numbers of elements and of changes of some tensors.
  struct Cell {
    var elements: UInt64 = 0
    var changes: UInt64 = 0
    var density: Double { elements == 0 ? 0 : Double(changes) / Double(elements) }

    mutating func add(_ other: Cell) {
      elements = [elements, other.elements].clampedSum
      changes += other.changes
    }
  }

  /// A layer, or a part of the model before or after the layers.
  enum Section: Hashable, Comparable {
    case before(String)
    case layer(Int)
    case after(String)

    var name: String {
      switch self {
      case .before(let name), .after(let name): name
      case .layer(let number): "\(number)"
      }
    }

    var isLayer: Bool { if case .layer = self { true } else { false } }
  }

  /// The sections in the order of a model: embeddings, layers, sections after them.
  let sections: [Section]
  /// Kinds of tensors, in order of their names.
  let kinds: [String]
  private(set) var cells: [Section: [String: Cell]] = [:]

  /// Counts the sparse entries of a diff. O(entries).
  init(_ diff: DiffReader) {
    var kinds: Set<String> = []
    for entry in diff {
      switch entry.operation {
      case .add, .replace, .xor: break
      case .insert, .delete, .reshape: continue
      }
      let (section, kind) = Self.section(of: entry.name)
      kinds.insert(kind)
      cells[section, default: [:]][kind, default: Cell()].add(
        Cell(elements: entry.shape.count, changes: entry.count))
    }
    sections = cells.keys.sorted()
    self.kinds = kinds.sorted()
  }

  /// Makes a grid with a cell wherever one of the grids has one: that of the first.
  init(of grids: [DensityGrid]) {
    for grid in grids {
      cells.merge(grid.cells) { $0.merging($1) { cell, _ in cell } }
    }
    sections = cells.keys.sorted()
    kinds = Set(cells.values.flatMap(\.keys)).sorted()
  }

  /// Returns the section and the kind of a tensor: `encoder.layer.3.attention.self.query.weight` is
  /// the `attention.self.query.weight` of layer 3. A tensor outside the layers belongs to a section
  /// with a well-known name, or to «other».
  static func section(of name: TensorName) -> (section: Section, kind: String) {
    let parts = name.parts
    for (index, part) in parts.enumerated().dropFirst() {
      guard let number = Int(part), (0..<100_000).contains(number), isLayers(parts[index - 1]),
        index + 1 < parts.count
      else { continue }
      return (.layer(number), kind(parts[(index + 1)...]))
    }
    if let index = parts.firstIndex(where: { before.contains($0) }) {
      return (.before(parts[index]), kind(parts[(index + 1)...]))
    }
    if let index = parts.firstIndex(where: { after.contains($0) }) {
      return (.after(parts[index]), kind(parts[(index + 1)...]))
    }
    return (.after("other"), kind(parts[...]))
  }

  private static let before = ["embeddings", "embed_tokens", "wte", "wpe"]
  private static let after = ["pooler", "classifier", "score", "lm_head", "qa_outputs"]

  private static func isLayers(_ part: String) -> Bool {
    ["layer", "layers", "h", "block", "blocks", "layer_module"].contains(part.lowercased())
  }

  /// Returns the remaining parts of a name, without the `:0` that Keras appends.
  private static func kind(_ parts: ArraySlice<String>) -> String {
    let kind = parts.joined(separator: ".")
    return kind.hasSuffix(":0") ? String(kind.dropLast(2)) : kind
  }

  /// Returns the sum over all tensors of a section, or of the diff.
  func total(section: Section? = nil) -> Cell {
    cells.filter { section == nil || $0.key == section }.values.flatMap(\.values)
      .reduce(into: Cell()) { $0.add($1) }
  }

  /// The highest density of a cell.
  var highest: Double { cells.values.flatMap(\.values).map(\.density).max() ?? 0 }
}
