import DiffFormat
import Kernels
import TensorCore

/// Files of other tools that hold the changes of an additive diff. NAME is the tensor's name, N
/// the number of its changes; float32 values are float64 where the tensor is.
public enum ExchangeFormat: String, Sendable, Hashable, CaseIterable {
  /// A NumPy archive (`numpy.savez`): `NAME/indices`, int64 [N], positions in the row-major
  /// flattened tensor, ascending; `NAME/values`, float32 [N]; `NAME/shape`, int64 [rank]; a head:
  /// `NAME/tensor`, whole.
  case cooNpz = "coo-npz"
  /// A NumPy archive with what composable-sft stores in its pickle
  /// (github.com/cambridgeltl/composable-sft, src/sft/sft.py, decode_sparse_tensor):
  /// `body/NAME/size`, int64 [rank]; `body/NAME/index_steps`, int32 [N], the first position and
  /// the steps from each to the next, positions being counted with the *first* dimension running
  /// fastest; `body/NAME/values`, float32 [N]; `head/NAME`, whole.
  case sftNpz = "sft-npz"
  /// What PEFT stores of a SHiRA adapter (peft 0.21.2, tuners/shira/model.py and layer.py), in
  /// safetensors: for the matrix `MODULE.weight` `base_model.model.MODULE.shira_indices`, int32
  /// [2, N], rows and columns, and `base_model.model.MODULE.shira_weight`, float32 [N]; a head:
  /// `base_model.model.NAME`, whole. Matrices and heads only. N is r · (rows + columns), as PEFT
  /// wants it, of which some may be zero; see `ShiraAdapter`.
  case shira
  /// What PEFT stores of a Super-Tuning adapter (peft 0.21.2, tuners/supertuning/layer.py), to be
  /// read: `base_model.model.MODULE.supertuning_indices`, int32 [N], positions in the row-major
  /// flattened matrix, and `base_model.model.MODULE.supertuning_values`, [N]; heads as in `shira`.
  case superTuning = "super-tuning"
  /// An HDF5 file with datasets as in `cooNpz`.
  case sparseHDF5 = "sparse-hdf5"
}

/// What an export or an import did.
public struct ExchangeSummary: Sendable, Hashable {
  /// Tensors with changes, changes, and whole tensors.
  public var tensors = 0, changes: UInt64 = 0, heads = 0
  /// Values that the new type does not hold exactly and were rounded.
  public var rounded: UInt64 = 0
  /// What an imported file calls its tensors.
  public var names: [TensorName] = []

  /// Nothing.
  public init() {}
}

/// The changes of a tensor as numbers.
struct ExchangedTensor {
  let name: TensorName
  let shape: Shape
  /// Float32, or float64.
  let type: ElementType
  /// Ascending.
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
  /// Types and shapes of the arrays that stand for an addition, without their elements.
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

  /// The elements of these arrays.
  func elements(_ tensor: ExchangedTensor) -> [[UInt8]] {
    switch self {
    case .cooNpz, .sparseHDF5:
      return [
        tensor.positions.littleEndianBytes, Self.bytes(tensor.values, tensor.type),
        tensor.shape.extents.littleEndianBytes,
      ]
    case .sftNpz:
      // In order of the positions with the first dimension running fastest.
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

  /// What the array of a head is called; nil if the format has no heads.
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
  /// The position, with the first dimension running fastest, of the element at a row-major one.
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

  /// The reverse.
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
