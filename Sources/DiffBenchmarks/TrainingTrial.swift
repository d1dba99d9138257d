#if Training
  import Checkpoints
  import DiffFormat
  import DiffOperations
  import DiffTraining
  import TensorCore

  /// A model and a task in memory, to be trained in several ways and measured as stored.
  final class TrainingTrial {
    /// What a training came to.
    struct Result {
      var scores: [String: Double]
      var seconds: Double
      var bytes: Int
      var finetune: Finetune
    }

    private let checkpoint: any Checkpoint
    private let configuration: EncoderConfiguration
    private let facts: TaskFacts
    private let training, evaluation: [TokenExample]
    private let engine = Engine()

    /// - Parameters:
    ///   - model: A folder with model.h5 or base.h5, config.json and vocab.txt.
    ///   - dev: The rows to evaluate on; nil: a fifth of the training rows, which is split off.
    init(model: String, train: String, dev: String?, pooling: EncoderModel.Pooling) throws {
      let path = [model + "/model.h5", model + "/base.h5"].first { (try? File($0)) != nil }
      checkpoint = try openCheckpoint(path ?? model)
      configuration = try EncoderConfiguration(contentsOf: model + "/config.json")
      let tokenizer = try WordPiece(vocabulary: File.contents(of: model + "/vocab.txt"))
      let data = try TaskData(table: train)
      facts = TaskFacts(kind: data.description.kind, pooling: pooling, maxLength: 128)
      let examples = data.examples(tokenizer, maxLength: 128).examples
      if let dev {
        var options = TableOptions()
        options.kind = data.description.kind
        training = examples
        evaluation = try TaskData(table: dev, options).examples(tokenizer, maxLength: 128).examples
      } else {
        let (rest, part) = data.split(0.2, seed: 1)
        (training, evaluation) = (rest.map { examples[$0] }, part.map { examples[$0] })
      }
    }

    /// Trains, writes the diff, and measures base and diff as they are stored.
    func run(
      _ options: TrainingOptions, evaluatingEpochs: Bool = false,
      _ progress: (TrainingProgress) -> Void = { _ in }
    ) throws -> Result {
      let clock = ContinuousClock()
      let start = clock.now
      let model = try model(checkpoint)
      let trainer = try Trainer(model, training, options)
      if evaluatingEpochs {
        trainer.evaluate = { [self] values throws(DiffError) in try scores(model, values) }
      }
      let outcome = try trainer.run { report in
        progress(report)
        return .more
      }
      guard case .finished(let finetune) = outcome else {
        throw DiffError(.unsupported, "a training that nobody stops was stopped")
      }
      let sink = MemorySink()
      try finetune.write(checkpoint, into: sink, metadata: facts.metadata)
      let seconds = (clock.now - start) / .seconds(1)
      let tuned = try self.model(TunedCheckpoint(checkpoint, [DiffReader(bytes: sink.bytes)]))
      let values = FloatBuffer(count: tuned.layout.count)
      try tuned.initialize(values, seed: 0)
      return Result(
        scores: try scores(tuned, values), seconds: seconds, bytes: sink.bytes.count,
        finetune: finetune)
    }

    private func model(_ checkpoint: any Checkpoint) throws(DiffError) -> EncoderModel {
      try EncoderModel(
        configuration, checkpoint: checkpoint, head: facts.head, pooling: facts.pooling,
        engine: engine)
    }

    private func scores(
      _ model: EncoderModel, _ values: FloatBuffer
    ) throws(DiffError) -> [String: Double] {
      facts.scores(
        try model.predictions(of: evaluation, at: values), evaluation.map(\.target))
    }
  }
#endif
