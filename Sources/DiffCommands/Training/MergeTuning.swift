import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import Kernels
import TensorCore

/// Weights of a merge, and perhaps densities, chosen by scores on tasks: each is that of the merged diff with the head of one of
/// the diffs, on every other row; the rows between tell what that is worth.
struct MergeTuning {
  /// A task, with the head, the model and the rows to compute a score.
  private struct Task {
    let facts: TaskFacts
    let head: DiffReader
    let model: ModelOfTask
    let halves: (tuning: [TokenExample], held: [TokenExample])
  }

  private let base: any Checkpoint
  private let bodies: [DiffReader]
  private let options: MergeOptions
  private var tasks: [Task] = []

  /// - Parameters:
  ///   - paths: The rows of each task: the first for the head of the first diff, and so on.
  /// - Throws: The errors of `evaluate`; `usage` for more files than diffs.
  init(
    _ diffs: [DiffReader], on base: String, tasks paths: [String], files: ModelFiles,
    _ options: MergeOptions
  ) throws {
    try Engine.requireAvailable()
    guard paths.count <= diffs.count else {
      throw DiffError(
        .usage, "\(paths.count) files of rows for \(diffs.count) diffs; give at most one for each")
    }
    guard options.method.isWeighted else {
      throw DiffError(.usage, "'\(options.method.rawValue)' weighs the diffs itself")
    }
    self.base = try CheckpointFile.open(base)
    self.options = options
    bodies = try diffs.map { try $0.part(where: \.isAddition) }
    let configuration = try files.configuration(beside: base)
    let tokenizer = try files.tokenizer(beside: base)
    let engine = try Engine(precision: Precision.fastest)
    for (path, diff) in zip(paths, diffs) {
      let facts = try TaskFacts(diff.metadata, path: diff.path)
      guard facts.kind != .spans else {
        throw DiffError(.unsupported, "weights cannot be tuned on questions", path: path)
      }
      let data = try TaskSet(path, kind: facts.kind, tokenizer, maxLength: facts.maxLength)
      try facts.check(data, path: path)
      let tuning = data.examples.indices.filter { $0 % 2 == 0 }.map { data.examples[$0] }
      let held = data.examples.indices.filter { $0 % 2 == 1 }.map { data.examples[$0] }
      guard !tuning.isEmpty, !held.isEmpty else {
        throw DiffError(.usage, "has too few rows to tune on", path: path)
      }
      tasks.append(
        Task(
          facts: facts, head: try diff.part { !$0.isAddition },
          model: ModelOfTask(configuration: configuration, engine: engine),
          halves: (tuning, held)))
    }
  }

  /// Searches for weights with at most `budget` evaluations of all tasks.
  func search(
    withDensities: Bool, budget: Int, _ tell: (Int) -> Void
  ) throws -> (search: WeightSearch, held: (best: Double, uniform: Double)) {
    var done = 0
    let search = try WeightSearch(
      count: bodies.count, withDensities: withDensities, budget: budget
    ) { point in
      done += 1
      tell(done)
      return try score(point, withDensities, \.halves.tuning)
    }
    return (
      search,
      (
        try score(search.best.point, withDensities, \.halves.held),
        try score(search.uniform.point, withDensities, \.halves.held)
      )
    )
  }

  /// Returns the mean score over the tasks.
  private func score(
    _ point: WeightSearch.Point, _ withDensities: Bool, _ rows: (Task) -> [TokenExample]
  ) throws -> Double {
    let sink = MemorySink()
    var inputs = bodies.map { MergeInput($0, weight: 1) }
    point.set(&inputs, withDensities: withDensities)
    _ = try Diffs.merge(inputs, into: sink, options)
    let body = try DiffReader(bytes: sink.bytes)
    var sum = 0.0
    for task in tasks {
      let checkpoint = try TunedCheckpoint(
        base, [body, task.head].filter { !$0.isEmpty }, allowsOtherBase: options.allowsOtherBase)
      let rows = rows(task)
      let predictions = try task.model.predictions(checkpoint, task.facts, rows)
      let scores = task.facts.scores(predictions, rows.map(\.target))
      sum += scores["accuracy"] ?? scores["pearson"] ?? 0
    }
    return sum / Double(tasks.count)
  }

  /// The configuration and the engine that make a checkpoint a model.
  private struct ModelOfTask {
    let configuration: EncoderConfiguration
    let engine: Engine

    func predictions(
      _ checkpoint: any Checkpoint, _ facts: TaskFacts, _ rows: [TokenExample]
    ) throws -> [[Float]] {
      let model = try EncoderModel(
        configuration, checkpoint: checkpoint, head: facts.head, pooling: facts.pooling,
        engine: engine)
      let values = FloatBuffer(count: model.layout.count)
      try model.initialize(values, seed: 0)
      return try model.predictions(of: rows, at: values)
    }
  }
}

extension WeightSearch.Point {
  /// Gives diffs their weights and densities.
  func set(_ inputs: inout [MergeInput], withDensities: Bool) {
    for index in inputs.indices {
      inputs[index].weight = MergeSetting(weights[index])
      if withDensities { inputs[index].density = MergeSetting(densities[index]) }
    }
  }
}

extension DiffReader {
  /// Returns a diff of some of the entries, in memory.
  fileprivate func part(where isTaken: (DiffEntry) -> Bool) throws -> DiffReader {
    let sink = MemorySink()
    let writer = try DiffWriter(sink, metadata: metadata)
    for entry in self where isTaken(entry) { try writer.copy(entry, from: source) }
    try writer.finish()
    return try DiffReader(MemorySource(sink.bytes, name: path))
  }
}
