import TensorCore

/// The layers of a model, found from the names of its tensors: the first number in a name is the
/// index of its layer, as in `model.layers.3.mlp.up_proj.weight`.
struct RecipeLayers {
  /// The number of layers.
  let count: Int

  /// Finds the layers of a model.
  init(_ names: some Sequence<TensorName>) {
    count = (names.compactMap { Self.layer(of: $0) }.max() ?? -1) + 1
  }

  /// Returns the layer of a tensor, or nil for a tensor before or after all layers.
  static func layer(of name: TensorName) -> Int? {
    for part in name.parts {
      let digits = part.first == "_" ? part.dropFirst() : part[...]
      if !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) { return Int(digits) }
    }
    return nil
  }

  /// Returns the relative index of a layer in a range, from 0 for the first to 1 for the last.
  static func share(of layer: Int, in layers: Range<Int>) -> Double {
    layers.count > 1 ? Double(layer - layers.lowerBound) / Double(layers.count - 1) : 1
  }
}
