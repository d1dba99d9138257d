import DiffFormat
import DiffOperations
import TensorCore

/// The densities of a diff by layer and by kind of tensor.
struct DensityGrid {
  /// How much of some tensors changes.
  struct Cell {
    var elements: UInt64 = 0
    var changes: UInt64 = 0
    var density: Double { elements == 0 ? 0 : Double(changes) / Double(elements) }

    mutating func add(_ other: Cell) {
      elements = [elements, other.elements].clampedSum
      changes += other.changes
    }
  }

  /// A layer, or what stands outside of the layers.
  enum Place: Hashable, Comparable {
    case before(String)
    case layer(Int)
    case behind(String)

    var name: String {
      switch self {
      case .before(let name), .behind(let name): name
      case .layer(let number): "\(number)"
      }
    }

    var isLayer: Bool { if case .layer = self { true } else { false } }
  }

  /// The places in the order of a model: embeddings, layers, what comes after.
  let places: [Place]
  /// Kinds of tensors, in order of their names.
  let kinds: [String]
  private(set) var cells: [Place: [String: Cell]] = [:]

  /// Counts the sparse entries of a diff. O(entries).
  init(_ diff: DiffReader) {
    var kinds: Set<String> = []
    for entry in diff {
      switch entry.operation {
      case .add, .replace, .xor: break
      case .insert, .delete, .reshape: continue
      }
      let (place, kind) = Self.place(of: entry.name)
      kinds.insert(kind)
      cells[place, default: [:]][kind, default: Cell()].add(
        Cell(elements: entry.shape.count, changes: entry.count))
    }
    places = cells.keys.sorted()
    self.kinds = kinds.sorted()
  }

  /// Where a tensor belongs and what it is there: `encoder.layer.3.attention.self.query.weight` is
  /// the `attention.self.query.weight` of layer 3. What no layer holds belongs to the part of a model whose
  /// name is known, or to «other».
  static func place(of name: TensorName) -> (place: Place, kind: String) {
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
    if let index = parts.firstIndex(where: { behind.contains($0) }) {
      return (.behind(parts[index]), kind(parts[(index + 1)...]))
    }
    return (.behind("other"), kind(parts[...]))
  }

  private static let before = ["embeddings", "embed_tokens", "wte", "wpe"]
  private static let behind = ["pooler", "classifier", "score", "lm_head", "qa_outputs"]

  private static func isLayers(_ part: String) -> Bool {
    ["layer", "layers", "h", "block", "blocks", "layer_module"].contains(part.lowercased())
  }

  /// What is left of a name, without what Keras appends.
  private static func kind(_ parts: ArraySlice<String>) -> String {
    let kind = parts.joined(separator: ".")
    return kind.hasSuffix(":0") ? String(kind.dropLast(2)) : kind
  }

  /// All tensors of a place, or of the diff, together.
  func total(place: Place? = nil) -> Cell {
    cells.filter { place == nil || $0.key == place }.values.flatMap(\.values)
      .reduce(into: Cell()) { $0.add($1) }
  }

  /// The greatest density of a cell.
  var highest: Double { cells.values.flatMap(\.values).map(\.density).max() ?? 0 }
}
