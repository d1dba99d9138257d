import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import Kernels
import TensorCore

/// The choice of a merge's weights, and perhaps densities, by scores on tasks. A score is that of the
/// merged diff with the head of one of the diffs, on every other row; the rows between measure the
/// choice.
struct MergeTuning {
  /// A task, with the head, the model and the rows to compute a score.
  private struct Task {
    let facts: TaskFacts
    let head: DiffReader
    let model: ModelOfTask
    let halves: (tuning: [TokenExample], held: [TokenExample])

    /// Returns the accuracy, or Pearson's correlation.
    func score(_ predictions: [[Float]], _ targets: [Target]) -> Double {
      let scores = facts.scores(predictions, targets)
      let score = scores["accuracy"] ?? scores["pearson"] ?? 0
      return score.isNaN ? 0 : score
    }
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

  /// The mean scores on the rows that were kept apart.
  struct Held {
    /// The score of the choice, and of the best single weight or scale.
    let best, uniform: Double
    /// The 95 % interval of the difference of the two, by a paired bootstrap over the rows.
    let interval: ClosedRange<Double>
  }

  /// Searches for weights with at most `budget` evaluations of all tasks.
  func search(
    in space: WeightSearch.Space, budget: Int, _ report: (Int) -> Void
  ) throws -> (search: WeightSearch, held: Held) {
    var done = 0
    let search = try WeightSearch(count: bodies.count, in: space, budget: budget) { point in
      done += 1
      report(done)
      return score(try predictions(point, space, \.halves.tuning), \.halves.tuning)
    }
    let best = try predictions(search.best.point, space, \.halves.held)
    let uniform = try predictions(search.uniform.point, space, \.halves.held)
    let held = Held(
      best: score(best, \.halves.held), uniform: score(uniform, \.halves.held),
      interval: interval(best, uniform))
    return (search, held)
  }

  /// Returns the outputs of a merge's result for the rows of each task.
  private func predictions(
    _ point: WeightSearch.Point, _ space: WeightSearch.Space, _ rows: (Task) -> [TokenExample]
  ) throws -> [[[Float]]] {
    let sink = MemorySink()
    var (inputs, options) = (bodies.map { MergeInput($0) }, options)
    point.set(&inputs, &options, in: space)
    _ = try Diffs.merge(inputs, into: sink, options)
    let body = try DiffReader(bytes: sink.bytes)
    return try tasks.map { task in
      let checkpoint = try TunedCheckpoint(
        base, [body, task.head].filter { !$0.isEmpty }, allowsOtherBase: options.allowsOtherBase)
      return try task.model.predictions(checkpoint, task.facts, rows(task))
    }
  }

  /// Returns the mean score over the tasks.
  private func score(_ predictions: [[[Float]]], _ rows: (Task) -> [TokenExample]) -> Double {
    let scores = zip(tasks, predictions).map { $0.score($1, rows($0).map(\.target)) }
    return scores.reduce(0, +) / Double(tasks.count)
  }

  /// Returns the 95 % interval of the difference of two mean scores on the rows kept apart, over
  /// 400 draws of as many rows, which are the same for both.
  private func interval(_ one: [[[Float]]], _ other: [[[Float]]]) -> ClosedRange<Double> {
    var random = SplitMix64(seed: 0)
    let draws = 400
    let differences = (0..<draws).map { _ in
      var sum = 0.0
      for (index, task) in tasks.enumerated() {
        let targets = task.halves.held.map(\.target)
        let rows = targets.map { _ in Int(random.next(below: UInt64(targets.count))) }
        let drawn = rows.map { targets[$0] }
        sum += task.score(rows.map { one[index][$0] }, drawn)
        sum -= task.score(rows.map { other[index][$0] }, drawn)
      }
      return sum / Double(tasks.count)
    }.sorted()
    return differences[draws / 40]...differences[draws - 1 - draws / 40]
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
  /// Sets the weights and densities of diffs, and the scale.
  func set(
    _ inputs: inout [MergeInput], _ options: inout MergeOptions, in space: WeightSearch.Space
  ) {
    for index in inputs.indices {
      inputs[index].weight = MergeSetting(weights[index])
      if space.densities { inputs[index].density = MergeSetting(densities[index]) }
    }
    options.scale *= scale
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
