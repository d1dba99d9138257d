import DiffOperations
import TensorCore

/// What `compare` shows of checkpoints.
struct CheckpointComparisonOutput: CommandOutput {
  struct Tensor: Encodable {
    let name, otherName, type, otherType: String
    let shape, otherShape: [UInt64]
    let elements: UInt64
    /// Null where types or shapes are not the same.
    let differing: UInt64?
    let largest: Double?
  }

  let same: Bool
  let paths: [String]
  let tensors: [Tensor]
  let onlyInFirst, onlyInSecond: [String]

  init(_ paths: [String], _ comparison: CheckpointComparison) {
    self.paths = paths
    same = comparison.areSame
    tensors = comparison.tensors.map {
      Tensor(
        name: "\($0.name)", otherName: "\($0.otherName)", type: $0.type.name,
        otherType: $0.otherType.name,
        shape: $0.shape.extents, otherShape: $0.otherShape.extents, elements: $0.shape.count,
        differing: $0.differing, largest: $0.largest)
    }
    onlyInFirst = comparison.onlyInFirst.map(\.description)
    onlyInSecond = comparison.onlyInSecond.map(\.description)
  }

  var text: String {
    var table = TextTable(
      ["tensor", "type", "shape", "differ", "of", "greatest difference"], rightAligned: [3, 4, 5])
    let different = tensors.filter { $0.differing != 0 }
    for tensor in different {
      let isOther = tensor.differing == nil
      table.add([
        tensor.name,
        tensor.type + (tensor.type == tensor.otherType ? "" : " → \(tensor.otherType)"),
        "\(tensor.shape)" + (tensor.shape == tensor.otherShape ? "" : " → \(tensor.otherShape)"),
        tensor.differing?.grouped ?? "–", isOther ? "–" : tensor.elements.grouped,
        tensor.largest?.brief ?? "–",
      ])
    }
    var out = different.isEmpty ? "" : table.text + "\n"
    out += "\(tensors.count - different.count) of \(tensors.count) common tensors are equal\n"
    for (path, names) in zip(paths, [onlyInFirst, onlyInSecond]) where !names.isEmpty {
      let more = names.count > 10 ? ", and \(names.count - 10) more" : ""
      let list = names.prefix(10).joined(separator: ", ")
      out += "only in \(path): \(list)\(more)".escapingControls + "\n"
    }
    return out + (same ? "same".styled(.green) : "different".styled(.yellow)) + "\n"
  }
}
