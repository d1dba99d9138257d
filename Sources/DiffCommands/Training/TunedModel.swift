import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import TensorCore

/// A base, with or without a diff upon it, ready to answer.
struct TunedModel {
  let facts: TaskFacts
  let model: EncoderModel
  let values: FloatBuffer
  let tokenizer: any Tokenizer

  /// - Parameters:
  ///   - diff: The path of the diff of a task.
  ///   - kind: Without a diff: what is predicted, by a head that the base has.
  init(
    _ base: String, diff: String?, files: ModelFiles, calculation: CalculationOptions,
    allowsOtherBase: Bool = false, kind: TaskDescription.Kind? = nil
  ) throws {
    let checkpoint = try CheckpointFile.open(base)
    let configuration = try files.configuration(beside: base)
    let tuned: any Checkpoint
    if let diff {
      let reader = try DiffReader(diff)
      facts = try TaskFacts(reader.metadata, path: diff)
      tuned = try TunedCheckpoint(checkpoint, [reader], allowsOtherBase: allowsOtherBase)
    } else {
      guard let kind else { throw DiffError(.usage, "no diff says what is asked", path: base) }
      facts = TaskFacts(kind: kind, pooling: .pooler, maxLength: min(128, configuration.longest))
      tuned = checkpoint
    }
    model = try EncoderModel(
      configuration, checkpoint: tuned, head: facts.head,
      pooling: facts.pooling,
      engine: calculation.engine())
    guard model.headIsStored else {
      throw DiffError(
        .mismatch, "has no head for this task: give the diff that was trained for it", path: base)
    }
    values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 0)
    tokenizer = try files.tokenizer(beside: base)
  }
}
