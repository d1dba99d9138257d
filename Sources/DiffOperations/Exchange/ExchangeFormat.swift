import DiffFormat
import Kernels
import TensorCore

/// The format of a file of another tool that holds the changes of an additive diff. NAME is the
/// name of a tensor, N the number of its changes; values are float32, or float64 for a float64
/// tensor.
public enum ExchangeFormat: String, Sendable, Hashable, CaseIterable {
  /// A NumPy archive (`numpy.savez`): `NAME/indices`, int64 [N], ascending positions in the
  /// row-major flattened tensor; `NAME/values`, float32 [N]; `NAME/shape`, int64 [rank]; for a
  /// head, `NAME/tensor`, whole.
  case cooNpz = "coo-npz"
  /// A NumPy archive with the contents of composable-sft's pickle
  /// (github.com/cambridgeltl/composable-sft, src/sft/sft.py, decode_sparse_tensor):
  /// `body/NAME/size`, int64 [rank]; `body/NAME/index_steps`, int32 [N], the first position and the
  /// steps from each to the next, where positions are column-major (the *first* dimension runs
  /// fastest); `body/NAME/values`, float32 [N]; `head/NAME`, whole.
  case sftNpz = "sft-npz"
  /// A SHiRA adapter of PEFT (peft 0.21.2, tuners/shira/model.py and layer.py), in safetensors: for
  /// the matrix `MODULE.weight`, `base_model.model.MODULE.shira_indices`, int32 [2, N], rows and
  /// columns, and `base_model.model.MODULE.shira_weight`, float32 [N]; for a head,
  /// `base_model.model.NAME`, whole. Matrices and heads only. N is r · (rows + columns), as PEFT
  /// requires, and some values may be zero; see `ShiraAdapter`.
  case shira
  /// A Super-Tuning adapter of PEFT (peft 0.21.2, tuners/supertuning/layer.py), for import only:
  /// `base_model.model.MODULE.supertuning_indices`, int32 [N], positions in the row-major flattened
  /// matrix, and `base_model.model.MODULE.supertuning_values`, [N]; heads as in `shira`.
  case superTuning = "super-tuning"
  /// An HDF5 file with datasets as in `cooNpz`.
  case sparseHDF5 = "sparse-hdf5"
}

/// The result of an export or an import.
public struct ExchangeSummary: Sendable, Hashable {
  /// The numbers of tensors with changes, of changes, and of whole tensors.
  public var tensors = 0, changes: UInt64 = 0, heads = 0
  /// The number of values that were rounded to the new type.
  public var rounded: UInt64 = 0
  /// The names of the tensors in an imported file.
  public var names: [TensorName] = []

  /// Creates an empty summary.
  public init() {}
}

/// The changes of a tensor as numbers.
struct ExchangedTensor {
  let name: TensorName
  let shape: Shape
  /// Float32 or float64.
  let type: ElementType
  /// The changes, in ascending order of positions.
  var runs: [ChangeRun<Double>] = []

  var count: UInt64 { runs.reduce(0) { $0 + UInt64($1.count) } }

  var positions: [UInt64] {
    var positions: [UInt64] = []
    for run in runs { positions.append(contentsOf: run.view) }
    return positions
  }

  var values: [Double] { runs.flatMap(\.values) }
}

extension ExchangeFormat {
  /// Returns the names, types and shapes of the arrays that represent an addition.
  func arrays(
    _ entry: DiffEntry
  ) throws(DiffError) -> [(name: TensorName, type: ElementType, shape: Shape)] {
    let (name, count) = (entry.name, Shape(vector: entry.count))
    let float: ElementType = entry.type == .f64 ? .f64 : .f32
    let rank = Shape(vector: UInt64(entry.shape.extents.count))
    switch self {
    case .cooNpz, .sparseHDF5:
      return [
        ("\(name)/indices", .i64, count), ("\(name)/values", float, count),
        ("\(name)/shape", .i64, rank),
      ]
    case .sftNpz:
      guard entry.shape.count <= UInt64(Int32.max) else {
        throw DiffError(
          .unsupported, "has more elements than 'sft-npz' can count; use coo-npz", tensor: name)
      }
      return [
        ("body/\(name)/size", .i64, rank), ("body/\(name)/index_steps", .i32, count),
        ("body/\(name)/values", float, count),
      ]
    case .shira, .superTuning:
      throw DiffError(.unsupported, "'\(rawValue)' is not written tensor by tensor", tensor: name)
    }
  }

  /// Returns the elements of these arrays.
  func elements(_ tensor: ExchangedTensor) -> [[UInt8]] {
    switch self {
    case .cooNpz, .sparseHDF5:
      return [
        tensor.positions.littleEndianBytes, Self.bytes(tensor.values, tensor.type),
        tensor.shape.extents.littleEndianBytes,
      ]
    case .sftNpz:
      // In order of the column-major positions.
      let order = zip(tensor.positions, tensor.values)
        .map { (at: tensor.shape.columnMajor($0), value: $1) }
        .sorted { $0.at < $1.at }
      var last: UInt64 = 0
      var steps: [UInt32] = []
      for (at, _) in order {
        steps.append(UInt32(truncatingIfNeeded: at - last))
        last = at
      }
      return [
        tensor.shape.extents.littleEndianBytes, steps.littleEndianBytes,
        Self.bytes(order.map(\.value), tensor.type),
      ]
    case .shira, .superTuning:
      let columns = max(1, tensor.shape.rowLength)
      let positions = tensor.positions
      let rows = positions.map { UInt32(truncatingIfNeeded: $0 / columns) }
      let inRow = positions.map { UInt32(truncatingIfNeeded: $0 % columns) }
      return [(rows + inRow).littleEndianBytes, Self.bytes(tensor.values, .f32)]
    }
  }

  /// Returns the name of the array of a head; nil if the format is not written.
  func headName(_ name: TensorName) -> TensorName? {
    switch self {
    case .cooNpz, .sparseHDF5: "\(name)/tensor"
    case .sftNpz: "head/\(name)"
    case .shira: TensorName(ShiraAdapter.prefix + name.dotted)
    case .superTuning: nil
    }
  }

  private static func bytes(_ values: [Double], _ type: ElementType) -> [UInt8] {
    Kernels.narrowed(values.span, type.float ?? .f32, 0)
  }
}

extension Shape {
  /// Returns the column-major position of the element at a row-major position.
  func columnMajor(_ position: UInt64) -> UInt64 {
    var rest = position
    var index: UInt64 = 0
    var scale = count
    for extent in extents.reversed() {
      scale /= max(1, extent)
      index += rest % max(1, extent) * scale
      rest /= max(1, extent)
    }
    return index
  }

  /// Returns the row-major position of the element at a column-major position.
  func rowMajor(_ position: UInt64) -> UInt64 {
    var rest = position
    var index: UInt64 = 0
    var scale = count
    for extent in extents {
      scale /= max(1, extent)
      index += rest % max(1, extent) * scale
      rest /= max(1, extent)
    }
    return index
  }
}
