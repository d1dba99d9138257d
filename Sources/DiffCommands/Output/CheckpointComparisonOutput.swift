import DiffOperations
import TensorCore

/// The output of `compare` for checkpoints.
struct CheckpointComparisonOutput: CommandOutput {
  struct Tensor: Encodable {
    let name, otherName, type, otherType: String
    let shape, otherShape: [UInt64]
    let elements: UInt64
    /// Null if types or shapes differ.
    let differing: UInt64?
    let largest: Double?
  }

  /// An object or attribute that is not a tensor.
  struct Other: Encodable {
    let name, kind, state: String
    let attribute: String?
  }

  let same, sameTensors, tensorsAlone: Bool
  let paths: [String]
  /// The fingerprint of each whole checkpoint; nil if names in it are ambiguous.
  let fingerprint, otherFingerprint: String?
  let tensors: [Tensor]
  let onlyInFirst, onlyInSecond: [String]
  let others: [Other]
  /// Rules of `--map` that no name of the first matches.
  let vainRules: [String]

  init(_ paths: [String], _ comparison: CheckpointComparison, vainRules: [String]) {
    self.paths = paths
    self.vainRules = vainRules
    same = comparison.areSame
    fingerprint = comparison.fingerprint?.description
    otherFingerprint = comparison.otherFingerprint?.description
    sameTensors = comparison.haveSameTensors
    tensorsAlone = comparison.comparesTensorsAlone
    tensors = comparison.tensors.map {
      Tensor(
        name: "\($0.name)", otherName: "\($0.otherName)", type: $0.type.name,
        otherType: $0.otherType.name,
        shape: $0.shape.extents, otherShape: $0.otherShape.extents, elements: $0.shape.count,
        differing: $0.differing, largest: $0.largest)
    }
    onlyInFirst = comparison.onlyInFirst.map(\.description)
    onlyInSecond = comparison.onlyInSecond.map(\.description)
    others = comparison.others.map {
      Other(
        name: "\($0.name)", kind: $0.kind, state: $0.state.rawValue, attribute: $0.attribute)
    }
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
      let list = names.prefix(10).map { $0.abbreviated() }.joined(separator: ", ")
      out += "only in \(path): \(list)\(more)".escapingControls + "\n"
    }
    out += othersText + MapOption.text(vainRules: vainRules)
    for (path, fingerprint) in zip(paths, [fingerprint, otherFingerprint]) {
      if let fingerprint { out += "\(path.escapingControls): fingerprint \(fingerprint)\n" }
    }
    let word = tensorsAlone ? "same tensors" : "same"
    return out + (same ? word.styled(.green) : "different".styled(.yellow)) + "\n"
  }

  /// A count of equal objects other than tensors, and a list of those that differ.
  private var othersText: String {
    var out = ""
    if tensorsAlone {
      out += "the formats differ: only tensors were compared\n"
    } else if !others.isEmpty {
      let equal = others.count { $0.state == "equal" }
      out += "\(equal) of \(others.count) other objects and attributes are equal\n"
    }
    let kinds = [
      ("different", "differs"), ("only-in-first", "only in \(paths[0])"),
      ("only-in-second", "only in \(paths[1])"), ("not-compared", "not compared"),
    ]
    for (state, what) in kinds {
      let found = others.filter { $0.state == state }
      for other in found.prefix(10) {
        let name = other.name.abbreviated() + (other.attribute.map { ", attribute '\($0)'" } ?? "")
        let kind = other.attribute == nil ? " (\(other.kind))" : ""
        out += "  \(what): \(name)\(kind)".escapingControls + "\n"
      }
      if found.count > 10 { out += "  \(what): and \(found.count - 10) more\n" }
    }
    return out
  }
}
