import DiffFormat
import StrictJSON
import TensorCore

/// A SHiRA adapter as PEFT requires it: one r for all matrices, each of which has r · (rows +
/// columns) changes, and a configuration with r and the names of the modules.
///
/// A matrix with fewer changes is filled with zeros at its first unchanged positions.
struct ShiraAdapter {
  /// The names of the files of the adapter's folder.
  static let weightsName = "adapter_model.safetensors"
  static let configurationName = "adapter_config.json"
  /// The prefix that PEFT adds to the names of the model.
  static let prefix = "base_model.model."

  /// The number of changes of a matrix for each of its rows and columns.
  let r: UInt64
  private let modules, heads: [String]

  /// - Parameters:
  ///   - additions: the matrices that change.
  ///   - heads: the whole tensors.
  /// - Throws: `unsupported` for a tensor that is not a matrix named `….weight`, and for a matrix
  ///   that has fewer elements than r requires.
  init(_ additions: [DiffEntry], heads: [DiffEntry]) throws(DiffError) {
    var r: UInt64 = 1
    var modules: [String] = []
    for entry in additions {
      let name = entry.name.dotted
      guard entry.shape.extents.count == 2, name.hasSuffix(".weight"),
        entry.shape.extents.allSatisfy({ (1...UInt64(Int32.max)).contains($0) })
      else {
        throw DiffError(
          .unsupported, "is not a matrix named '….weight', which SHiRA requires",
          tensor: entry.name, remedy: .leaveOut)
      }
      let lines = Self.lines(of: entry.shape)
      r = max(r, (entry.count + lines - 1) / lines)
      modules.append(String(name.dropLast(".weight".count)))
    }
    for entry in additions where r * Self.lines(of: entry.shape) > entry.shape.count {
      throw DiffError(
        .unsupported,
        "is too small for SHiRA's r, which is common to all matrices and would be \(r)",
        tensor: entry.name, remedy: .leaveOut)
    }
    self.r = r
    self.modules = modules
    self.heads = heads.map { $0.name.dotted }
  }

  private static func lines(of shape: Shape) -> UInt64 { shape.extents[0] + shape.extents[1] }

  /// Returns the names, types and shapes of the arrays of a matrix.
  func arrays(_ entry: DiffEntry) -> [(name: TensorName, type: ElementType, shape: Shape)] {
    let module = Self.prefix + entry.name.dotted.dropLast(".weight".count)
    let count = r * Self.lines(of: entry.shape)
    guard let pairs = Shape([2, count]) else { return [] }
    return [
      ("\(module).shira_indices", .i32, pairs),
      ("\(module).shira_weight", .f32, Shape(vector: count)),
    ]
  }

  /// Returns a matrix with zeros added at as many positions as required.
  func filled(_ tensor: ExchangedTensor) -> ExchangedTensor {
    var missing = r * Self.lines(of: tensor.shape) - tensor.count
    guard missing > 0 else { return tensor }
    var positions: [UInt64] = []
    var values: [Double] = []
    var next: UInt64 = 0
    func fill(upTo end: UInt64) {
      while missing > 0 && next < end {
        positions.append(next)
        values.append(0)
        next += 1
        missing -= 1
      }
    }
    for (position, value) in zip(tensor.positions, tensor.values) {
      fill(upTo: position)
      positions.append(position)
      values.append(value)
      next = position + 1
    }
    fill(upTo: tensor.shape.count)
    var filled = tensor
    filled.runs = positions.runs().map { start, offsets, indices in
      ChangeRun(at: start, offsets, Array(values[indices]))
    }
    return filled
  }

  /// The text of `adapter_config.json`.
  var configuration: String {
    let saved = heads.map { $0.split(separator: ".").dropLast().joined(separator: ".") }
    let unique = saved.enumerated().filter { saved.firstIndex(of: $1) == $0 }.map(\.element)
    return """
      {
        "base_model_name_or_path": null,
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_weights": true,
        "mask_type": "random",
        "modules_to_save": \(unique.isEmpty ? "null" : Self.list(unique)),
        "peft_type": "SHIRA",
        "r": \(r),
        "random_seed": null,
        "target_modules": \(Self.list(modules)),
        "task_type": null
      }

      """
  }

  private static func list(_ names: [String]) -> String {
    "[" + names.map { JSONValue.string($0).compact }.joined(separator: ", ") + "]"
  }
}

extension TensorName {
  /// The name with '.' as the separator, as in PyTorch.
  var dotted: String { key.spelled(with: UInt8(ascii: ".")).description }
}
