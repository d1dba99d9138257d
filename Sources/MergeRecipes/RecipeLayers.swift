import TensorCore

/// Where tensors stand among the layers of a model, told by their names: the first number in a name is
/// that of its layer, as in `model.layers.3.mlp.up_proj.weight`.
struct RecipeLayers {
  /// How many layers there are.
  let count: Int

  /// The layers of a model.
  init(_ names: some Sequence<TensorName>) {
    count = (names.compactMap { Self.layer(of: $0) }.max() ?? -1) + 1
  }

  /// The layer of a tensor, or nil for what stands before and after all layers.
  static func layer(of name: TensorName) -> Int? {
    for part in name.parts {
      let digits = part.first == "_" ? part.dropFirst() : part[...]
      if !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) { return Int(digits) }
    }
    return nil
  }

  /// The share of the way from the first of some layers to the last.
  static func share(of layer: Int, in layers: Range<Int>) -> Double {
    layers.count > 1 ? Double(layer - layers.lowerBound) / Double(layers.count - 1) : 1
  }
}
