import DiffTraining
import Kernels
import TensorCore

/// A model small enough to understand: the score of some words is Σ table[word] · weight · gain
/// + bias, its loss the squared distance from the target. Four tensors of the base, one head.
final class ToyModel: TrainableModel {
  struct Example: TrainingExample {
    var words: [Int]
    var target: Target
  }

  static let width = 8
  let layout: ParameterLayout
  let calculation: String
  private let words: Int
  private let seed: UInt64
  /// The number of times that the base was read.
  private(set) var initializations = 0

  /// - Parameter seed: The seed of the base.
  init(words: Int = 40, calculation: String = "", seed: UInt64 = 99) throws(DiffError) {
    self.words = words
    self.calculation = calculation
    self.seed = seed
    var layout = ParameterLayout()
    let width = UInt64(Self.width)
    try layout.append("table", Shape([UInt64(words), width]) ?? .scalar, isTable: true)
    try layout.append("layer.0.weight", Shape(vector: width))
    try layout.append("layer.0.bias", Shape(vector: 1))
    try layout.append("head", Shape(vector: 1), isHead: true)
    self.layout = layout
  }

  func initialize(_ values: FloatBuffer, seed: UInt64) {
    initializations += 1
    var random = SplitMix64(seed: self.seed)
    var span = values.mutableSpan
    for parameter in layout.parameters where !parameter.isHead {
      for place in parameter.range { span[place] = Float(random.gaussian()) / 4 }
    }
    var headRandom = SplitMix64(seed: seed)
    span[layout.parameters[3].range.lowerBound] = 1 + Float(headRandom.unit()) / 8
  }

  func addGradients(
    of examples: [Example], at values: FloatBuffer, scale: Float, dropout: Dropout?,
    to gradients: Gradients
  ) -> Double {
    let at = layout.parameters.map(\.range.lowerBound)
    let values = values.span
    let buffer = gradients.values
    var total = 0.0
    for example in examples {
      let error = score(example, values) - example.wanted
      total += Double(error * error)
      let slope = 2 * error * scale
      let head = values[at[3]]
      for word in example.words {
        gradients.touch(row: word, of: 0)
        var out = buffer.mutableSpan
        for i in 0..<Self.width {
          let place = at[0] + word * Self.width + i
          out[place] += slope * head * values[at[1] + i]
          out[at[1] + i] += slope * head * values[place]
          out[at[3]] += slope * values[place] * values[at[1] + i]
        }
      }
      var out = buffer.mutableSpan
      out[at[2]] += slope
    }
    return total
  }

  func outputs(of examples: [Example], at values: FloatBuffer) -> ModelOutputs {
    ModelOutputs(
      values: examples.map { score($0, values.span) }, width: 1,
      rows: examples.indices.map { $0..<$0 + 1 })
  }

  private func score(_ example: Example, _ values: Span<Float>) -> Float {
    let at = layout.parameters.map(\.range.lowerBound)
    var score: Float = 0
    for word in example.words {
      for i in 0..<Self.width {
        score += values[at[0] + word * Self.width + i] * values[at[1] + i]
      }
    }
    return score * values[at[3]] + values[at[2]]
  }

  /// Returns examples in which a few words determine the target.
  func examples(_ count: Int, seed: UInt64) -> [Example] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in
      let chosen = (0..<5).map { _ in Int.random(in: 0..<words * 3 / 4, using: &random) }
      let target = chosen.reduce(Float(0)) { $0 + ($1 % 7 == 0 ? 1 : 0) }
      return Example(words: chosen, target: .value(target))
    }
  }
}

extension ToyModel.Example {
  fileprivate var wanted: Float { if case .value(let value) = target { value } else { 0 } }
}
