import Checkpoints
import DiffFormat
import DiffOperations
import DiffStore
import DiffTraining
import SystemSupport
import TensorCore

/// A model of a base, with or without a diff applied, for predictions.
struct TunedModel {
  let facts: TaskFacts
  let model: EncoderModel
  let values: FloatBuffer
  let tokenizer: any Tokenizer
  /// Notes for the user.
  let notes: [String]

  /// - Parameters:
  ///   - diff: The path of the diff of a task.
  ///   - kind: Without a diff: the kind of the task, for which the base has a head.
  init(
    _ base: String, diff: String?, files: ModelFiles, calculation: CalculationOptions,
    allowsOtherBase: Bool = false, kind: TaskDescription.Kind? = nil
  ) throws {
    let checkpoint = try CheckpointFile.open(base)
    let configuration = try files.configuration(beside: base)
    let (facts, tuned): (TaskFacts, any Checkpoint)
    var notes: [String] = []
    if let diff {
      let reader = try DiffReader(diff)
      facts = try TaskFacts(reader.metadata, path: diff)
      do throws(DiffError) {
        tuned = try TunedCheckpoint(checkpoint, [reader], allowsOtherBase: allowsOtherBase)
      } catch {
        guard Self.mayBeApplied.contains(error.code),
          (try? Diffs.verify(reader, against: checkpoint).checkpoint) == .applied
        else { throw error }
        notes.append("\(base): is at the result of the diff already, and is used as it is")
        tuned = checkpoint
      }
    } else {
      guard let kind else {
        throw DiffError(
          .usage,
          "needs the diff of a task, or for its own head --labels, the classes in the order of its "
            + "outputs", path: base)
      }
      let settings = try files.settings(of: base)
      var own = TaskFacts(
        kind: kind, pooling: settings.pooling ?? .pooler,
        maxLength: min(settings.maxLength ?? 128, configuration.longest))
      own.columns = settings.columns
      facts = own
      tuned = checkpoint
    }
    try self.init(
      tuned, facts, configuration, beside: base, files: files, calculation: calculation,
      notes: notes)
  }

  /// The errors by which a diff that is applied already is refused.
  private static let mayBeApplied: [DiffError.Code] = [.wrongBase, .mismatch, .partlyApplied]

  /// - Parameter version: The name of a version of a store, which was added as the diff of a task.
  init(
    _ version: String, of store: Store, files: ModelFiles, calculation: CalculationOptions
  ) throws {
    let facts = try TaskFacts(try store.version(version).metadata, path: store.path)
    let checkpoint = try store.checkpoint(of: version)
    // The files of the model are in the folder of its anchor, or in the store's own.
    let folder = try Folder.exists(checkpoint.path) ? checkpoint.path : store.modelFolder()
    guard folder != nil || files.config != nil && files.vocab != nil else {
      throw DiffError(
        .notFound,
        "has no config.json and no tokenizer, since none were beside its base; give --config and "
          + "--vocab", path: store.name)
    }
    let place = folder ?? store.path
    do {
      try self.init(
        checkpoint, facts, try files.configuration(beside: place), beside: place, files: files,
        calculation: calculation)
    } catch let error as DiffError {
      // Files that were fetched are those of the address.
      guard let path = error.path, path.hasPrefix(store.path) else { throw error }
      var error = error
      error.path = store.name + path.dropFirst(store.path.count)
      throw error
    }
  }

  private init(
    _ tuned: any Checkpoint, _ facts: TaskFacts, _ configuration: EncoderConfiguration,
    beside place: String, files: ModelFiles, calculation: CalculationOptions,
    notes: [String] = []
  ) throws {
    self.facts = facts
    model = try EncoderModel(
      configuration, checkpoint: tuned, head: facts.head,
      pooling: facts.pooling,
      engine: calculation.engine())
    tokenizer = try files.tokenizer(beside: place)
    self.notes = notes + model.notes + [model.note(on: tokenizer)].compactMap(\.self)
    guard model.headIsStored else {
      let advice = "give the diff that was trained for it"
      guard let outputs = model.storedOutputs, !facts.labels.isEmpty,
        outputs != UInt64(facts.labels.count)
      else {
        throw DiffError(.mismatch, "has no head for this task: \(advice)", path: place)
      }
      throw DiffError(
        .mismatch,
        "has a head of \(outputs.counted("output")), but the task has \(facts.labels.count) classes: "
          + "name those of the head, in its order, with --labels, or \(advice)", path: place)
    }
    values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 0)
  }
}
