import Checkpoints
import DiffTraining
import TensorCore
import Testing
import TestSupport

/// A trainer requires the gradients of trained parameters only; results must not depend on it.
@Suite struct WantedGradientsTests {
  /// An encoder that calculates all gradients, whichever are required.
  private final class Thorough: TrainableModel {
    let model: EncoderModel
    var layout: ParameterLayout { model.layout }

    init(_ model: EncoderModel) { self.model = model }

    func initialize(_ values: FloatBuffer, seed: UInt64) throws(DiffError) {
      try model.initialize(values, seed: seed)
    }

    func addGradients(
      of examples: [TokenExample], at values: FloatBuffer, scale: Float, dropout: Dropout?,
      to gradients: Gradients
    ) throws(DiffError) -> Double {
      let all = Gradients(layout)
      let loss = try model.addGradients(
        of: examples, at: values, scale: scale, dropout: dropout, to: all)
      let (total, added) = (gradients.values, all.values)
      var out = total.mutableSpan
      for parameter in layout.parameters {
        let rows = all.touchedRows(of: parameter.index)
        for row in rows ?? [] { gradients.touch(row: row, of: parameter.index) }
        for range in all.ranges(of: parameter.index) {
          for place in range { out[place] += added.span[place] }
        }
      }
      return loss
    }

    func outputs(of examples: [TokenExample], at values: FloatBuffer) throws(DiffError)
      -> ModelOutputs
    { try model.outputs(of: examples, at: values) }
  }

  private static let path = Repository.path + "/Tests/DiffTrainingTests/Resources/encoder-bert"

  private func model() throws -> EncoderModel {
    try EncoderModel(
      EncoderConfiguration(contentsOf: Self.path + ".json"),
      checkpoint: CheckpointFile.open(Self.path + ".safetensors"), head: .classes(3),
      engine: try Engine(threads: 2))
  }

  private func run<Model: TrainableModel>(
    _ model: Model, _ options: TrainingOptions
  ) throws -> ([Int], [Float]) where Model.Example == TokenExample {
    let examples = (0..<12).map { number in
      TokenExample(
        ids: (0..<6).map { Int32((number * 5 + $0 * 3) % 20) }, target: .label(number % 3))
    }
    let outcome = try Trainer(model, examples, options).run { _ in .more }
    guard case .finished(let finetune) = outcome else { return ([], []) }
    return (finetune.positions, finetune.values.elements(0..<finetune.layout.count))
  }

  @Test(
    "every method gives the same bits as with all gradients", arguments: [[], ["*.query.*"]])
  func methodsDoNotNotice(frozen: [String]) throws {
    for method in TrainingOptions.Method.allCases {
      var options = TrainerTests.options(method)
      options.batchSize = 3
      options.frozen = frozen
      let (positions, values) = try run(model(), options)
      let (allPositions, allValues) = try run(Thorough(model()), options)
      #expect(positions == allPositions && values == allValues, "\(method)")
      #expect(!positions.isEmpty, "\(method)")
    }
  }
}
