import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import SystemSupport
import TensorCore

/// A model and a task in memory, to be trained in several ways and measured as stored.
final class TrainingTrial {
  /// The result of a training.
  struct Result {
    /// The scores on rows held out of the training rows, for choices.
    var held: [String: Double]
    /// The scores on the task's dev rows, for reports.
    var dev: [String: Double]
    var seconds: Double
    var bytes: Int
    var finetune: Finetune
  }

  private let checkpoint: any Checkpoint
  private let configuration: EncoderConfiguration
  private let facts: TaskFacts
  private let training, held, dev: [TokenExample]
  private let engine: Engine

  /// - Parameters:
  ///   - model: A folder with model.h5 or base.h5, config.json and vocab.txt.
  ///   - task: A folder with train.tsv, dev.tsv and, optionally, parts of the training rows.
  ///   - rows: The file to train on. Up to 1000 of the other training rows are held out; of
  ///     train.tsv itself, a fifth.
  init(
    model: String, task: String, rows: String, pooling: EncoderModel.Pooling, threads: Int? = nil,
    precision: Precision = .f32
  ) throws {
    engine = try Engine(threads: threads, precision: precision)
    let path = [model + "/model.h5", model + "/base.h5"].first { (try? File($0)) != nil }
    checkpoint = try CheckpointFile.open(path ?? model)
    configuration = try EncoderConfiguration(contentsOf: model + "/config.json")
    let tokenizer = try WordPiece(vocabulary: File.contents(of: model + "/vocab.txt"))
    let all = try TaskData(table: task + "/train.tsv")
    var table = TableOptions()
    table.kind = all.description.kind
    facts = TaskFacts(kind: all.description.kind, pooling: pooling, maxLength: 128)
    func examples(_ data: TaskData) -> [TokenExample] {
      data.examples(tokenizer, maxLength: 128).examples
    }
    dev = try examples(TaskData(table: task + "/dev.tsv", table))
    if rows == "train" {
      let (rest, part) = all.split(0.2, seed: 1)
      let every = examples(all)
      (training, held) = (rest.map { every[$0] }, part.map { every[$0] })
    } else {
      let chosen = try TaskData(table: task + "/\(rows).tsv", table)
      training = examples(chosen)
      let taken = Set(chosen.rows)
      var others = all
      others.rows.removeAll { taken.contains($0) }
      let step = max(1, others.rows.count / Self.mostHeld)
      let indices = stride(from: 0, to: others.rows.count, by: step).prefix(Self.mostHeld)
      others.rows = indices.map { others.rows[$0] }
      held = examples(others)
    }
  }

  private static let mostHeld = 1000

  /// Trains, writes the diff, and evaluates base and diff as stored.
  func run(
    _ options: TrainingOptions, evaluatingEpochs: Bool = false,
    _ progress: (TrainingProgress) -> Void = { _ in }
  ) throws -> Result {
    let clock = ContinuousClock()
    let start = clock.now
    let model = try model(checkpoint)
    let trainer = try Trainer(model, training, options)
    if evaluatingEpochs {
      trainer.evaluate = { [self] values throws(DiffError) in try scores(model, values, held) }
    }
    let outcome = try trainer.run { report in
      progress(report)
      return .more
    }
    guard case .finished(let finetune) = outcome else {
      throw DiffError(.unsupported, "the training was stopped unexpectedly")
    }
    let sink = MemorySink()
    try finetune.write(checkpoint, into: sink, metadata: facts.metadata)
    let seconds = (clock.now - start) / .seconds(1)
    let tuned = try self.model(TunedCheckpoint(checkpoint, [DiffReader(bytes: sink.bytes)]))
    let values = FloatBuffer(count: tuned.layout.count)
    try tuned.initialize(values, seed: 0)
    return Result(
      held: try scores(tuned, values, held), dev: try scores(tuned, values, dev),
      seconds: seconds, bytes: sink.bytes.count, finetune: finetune)
  }

  private func model(_ checkpoint: any Checkpoint) throws(DiffError) -> EncoderModel {
    try EncoderModel(
      configuration, checkpoint: checkpoint, head: facts.head, pooling: facts.pooling,
      engine: engine)
  }

  private func scores(
    _ model: EncoderModel, _ values: FloatBuffer, _ examples: [TokenExample]
  ) throws(DiffError) -> [String: Double] {
    facts.scores(try model.predictions(of: examples, at: values), examples.map(\.target))
  }
}
