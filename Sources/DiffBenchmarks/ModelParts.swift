import DiffTraining
import TensorCore

extension Finetune {
  /// The numbers of changed elements and of all elements, by part of the model.
  var parts: [String: [Int]] {
    var parts: [String: [Int]] = [:]
    var index = 0
    for parameter in layout.parameters where !parameter.isHead {
      let first = index
      while index < positions.count, positions[index] < parameter.range.upperBound { index += 1 }
      for part in Self.parts(of: parameter.name) {
        let sum = parts[part] ?? [0, 0]
        parts[part] = [sum[0] + index - first, sum[1] + parameter.range.count]
      }
    }
    return parts
  }

  /// Returns the parts of the model that a tensor belongs to: a layer or section, and a kind.
  private static func parts(of name: TensorName) -> [String] {
    let words = name.parts
    let section: String
    if let layer = words.firstIndex(of: "layer"), layer + 1 < words.count {
      section = "layer \(words[layer + 1])"
    } else if words.contains("pooler") {
      section = "pooler"
    } else {
      section = words.contains("word_embeddings") ? "words" : "other embeddings"
    }
    let kind =
      words.contains { $0.hasPrefix("LayerNorm") }
      ? "all layer norms" : words.last == "bias" ? "other biases" : "matrices and tables"
    return [section, kind]
  }
}
