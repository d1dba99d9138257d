import Checkpoints
import TensorCore

/// The parameters of an encoder and its head, in a layout.
struct EncoderParameters: Sendable {
  /// A weight and a bias: of a product of matrices, or of a normalization.
  struct Pair: Sendable {
    let weight, bias: ParameterLayout.Parameter
  }

  /// The parameters of a layer.
  struct Layer: Sendable {
    let query, key, value, attentionOutput, attentionNorm, inner, output, outputNorm: Pair
  }

  let words, positions: ParameterLayout.Parameter
  let segments: ParameterLayout.Parameter?
  let embeddingNorm: Pair
  let layers: [Layer]
  let pooler: Pair?
  let head: Pair

  /// Appends the parameters to a layout.
  ///
  /// - Parameters:
  ///   - outputs: The number of rows of the head's weight.
  ///   - layout: The layout to append to; parameters get the names of the checkpoint.
  /// - Throws: `mismatch` for tensors that are missing or have another shape.
  init(
    _ configuration: EncoderConfiguration, _ tensors: CheckpointTensors, withPooler: Bool,
    headName: String, outputs: Int, layout: inout ParameterLayout
  ) throws(DiffError) {
    var builder = Builder(tensors: tensors, layout: layout)
    let names = EncoderNames(configuration.family)
    let (width, inner) = (configuration.width, configuration.innerWidth)
    words = try builder.parameter(names.words, [configuration.vocabulary, width], isTable: true)
    positions = try builder.parameter(
      names.positions, [configuration.positions, width], isTable: true)
    segments =
      configuration.segments == 0
      ? nil : try builder.parameter(names.segments, [configuration.segments, width])
    embeddingNorm = try builder.norm(names.embeddingNorm, width)
    var layers: [Layer] = []
    for number in 0..<configuration.layers {
      layers.append(
        Layer(
          query: try builder.linear(names.query(number), width, width),
          key: try builder.linear(names.key(number), width, width),
          value: try builder.linear(names.value(number), width, width),
          attentionOutput: try builder.linear(names.attentionOutput(number), width, width),
          attentionNorm: try builder.norm(names.attentionNorm(number), width),
          inner: try builder.linear(names.inner(number), inner, width),
          output: try builder.linear(names.output(number), width, inner),
          outputNorm: try builder.norm(names.outputNorm(number), width)))
    }
    self.layers = layers
    pooler = withPooler ? try builder.linear(names.pooler, width, width) : nil
    head = try builder.head(headName, outputs, width)
    layout = builder.layout
  }
}

/// Appends parameters to a layout, each compared with the checkpoint.
private struct Builder {
  let tensors: CheckpointTensors
  var layout: ParameterLayout

  mutating func parameter(
    _ name: TensorName, _ extents: [Int], isTable: Bool = false
  ) throws(DiffError) -> ParameterLayout.Parameter {
    let shape = try shape(extents, name)
    guard let tensor = tensors[name] else {
      throw DiffError(
        .mismatch, "is missing, but config.json requires it", path: tensors.checkpoint.path,
        tensor: name)
    }
    guard tensor.shape == shape else {
      throw DiffError(
        .mismatch, "has the shape \(tensor.shape), but config.json requires \(shape)",
        path: tensors.checkpoint.path, tensor: tensor.name)
    }
    try layout.append(tensor.name, shape, isTable: isTable)
    return layout.parameters[layout.parameters.count - 1]
  }

  mutating func linear(
    _ name: String, _ outputs: Int, _ inputs: Int
  ) throws(DiffError) -> EncoderParameters.Pair {
    EncoderParameters.Pair(
      weight: try parameter("\(name).weight", [outputs, inputs]),
      bias: try parameter("\(name).bias", [outputs]))
  }

  mutating func norm(_ name: String, _ width: Int) throws(DiffError) -> EncoderParameters.Pair {
    EncoderParameters.Pair(
      weight: try parameter("\(name).weight", [width]),
      bias: try parameter("\(name).bias", [width]))
  }

  /// Appends the head, regardless of the checkpoint's tensors, with the separator of its names.
  mutating func head(
    _ name: String, _ outputs: Int, _ width: Int
  ) throws(DiffError) -> EncoderParameters.Pair {
    for (part, extents) in [("weight", [outputs, width]), ("bias", [outputs])] {
      let name: TensorName = "\(name)\(tensors.separator)\(part)"
      try layout.append(name, shape(extents, name), isHead: true)
    }
    let parameters = layout.parameters.suffix(2)
    return EncoderParameters.Pair(
      weight: parameters[parameters.startIndex], bias: parameters[parameters.startIndex + 1])
  }

  private func shape(_ extents: [Int], _ name: TensorName) throws(DiffError) -> Shape {
    guard let shape = Shape(extents.map(UInt64.init)) else {
      throw DiffError(.limit, "is too large to train", tensor: name)
    }
    return shape
  }
}
