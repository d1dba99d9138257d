import Checkpoints
import DiffOperations
import TensorCore

/// The output of `stats` for a checkpoint.
struct CheckpointMeasures: CommandOutput {
  struct Tensor: Encodable {
    let name, type: String
    let shape: [UInt64]
    let values: Values?
  }

  struct Values: Encodable {
    let elements, zero, nonFinite: UInt64
    /// Null if no value is finite.
    let least, greatest: Double?
    let mean, deviation, l2: Double

    init(_ statistics: TensorStatistics) {
      elements = statistics.elements
      zero = statistics.zero
      nonFinite = statistics.nonFinite
      least = statistics.least.isFinite ? statistics.least : nil
      greatest = statistics.greatest.isFinite ? statistics.greatest : nil
      mean = statistics.mean
      deviation = statistics.deviation
      l2 = statistics.l2
    }
  }

  let path: String
  let tensors: [Tensor]

  init(_ checkpoint: any Checkpoint, progress: ProgressHandler?) throws(DiffError) {
    path = checkpoint.path
    tensors = try checkpoint.statistics(progress: progress).map {
      Tensor(
        name: "\($0.tensor.name)", type: $0.tensor.type.name, shape: $0.tensor.shape.extents,
        values: $0.statistics.map(Values.init))
    }
  }

  var text: String {
    var table = TextTable(
      ["tensor", "type", "shape", "zero", "mean", "deviation", "least", "greatest", "not finite"],
      rightAligned: [3, 4, 5, 6, 7, 8])
    for tensor in tensors {
      let figures = tensor.values.map { values in
        [
          (Double(values.zero) / Double(max(1, values.elements))).percent, values.mean.brief,
          values.deviation.brief, values.least?.brief ?? "", values.greatest?.brief ?? "",
          values.nonFinite.grouped,
        ]
      }
      table.add(
        [tensor.name, tensor.type, "\(tensor.shape)"]
          + (figures ?? [String](repeating: "", count: 6)))
    }
    return "\(path.escapingControls)\n\n" + table.text
  }
}
