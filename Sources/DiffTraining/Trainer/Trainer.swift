import TensorCore

/// A trainer that finetunes a model so that few of its parameters change.
///
///     let trainer = try Trainer(model, examples, options)
///     let outcome = try trainer.run { progress in
///       print(progress.step, progress.loss)
///       return .more
///     }
///     if case .finished(let finetune) = outcome {
///       let sink = try FileSink("task.diff")
///       try finetune.write(checkpoint, into: sink, metadata: [:])
///       try sink.commit()
///     }
///
/// Equal calls give equal bits, for one number of threads, even if a run was stopped or killed and
/// resumed.
public final class Trainer<Model: TrainableModel> {
  /// The outcome of a run.
  public enum Outcome {
    case finished(Finetune)
    /// Stopped by the callback; the state was saved, if there is a path for it.
    case stopped
  }

  /// The model that is trained.
  public let model: Model
  /// The settings of the training.
  public let options: TrainingOptions
  /// Called at the end of every epoch with the values without randomness, for `progress.scores`.
  public var evaluate: ((FloatBuffer) throws(DiffError) -> [String: Double])?
  /// A description of the data, which distinguishes this training from others beside model and
  /// options. A state with another description is not resumed.
  public var context = ""
  /// The path of the file in which the state is saved, or nil.
  public var statePath: String?
  /// The number of seconds between two saves.
  public var secondsBetweenSaves = 300.0
  /// Called when the state could not be saved; the training continues.
  public var saveFailed: ((DiffError) -> Void)?
  /// The processes that train together; each makes the same calls to its trainer.
  public var ranks = Ranks()
  /// Called when a state of another number of ranks is resumed, whose sums are rounded differently.
  public var otherRanks: ((Int) -> Void)?
  /// The name of a score: the epoch of the last stage in which it is highest is kept; nil to keep
  /// the last. Requires `evaluate` and a `statePath`, beside which that epoch is stored.
  public var bestScore: String?

  let examples: [Model.Example]
  let values: FloatBuffer
  let gradients: Gradients
  /// The indices of the parameters that are trained, and of those that are not.
  let learning, frozen: [Int]
  /// The checksum of the values that training starts from.
  private var start: UInt64 = 0
  var plan: TrainingPlan
  var learner: (any Learner)? {
    didSet {
      sum = ranks.count == 1 ? nil : learner.map { GradientSum(gradients, $0.reads, ranks) }
    }
  }
  /// The sum of the gradients of all ranks.
  private var sum: GradientSum?
  /// The selection of the last stage.
  var selection = SelectionFacts()
  /// The epoch of the last stage whose score is the highest so far.
  public private(set) var best: (epoch: Int, score: Double)?

  /// Creates a trainer.
  ///
  /// - Throws: `usage` for invalid settings, globs that match nothing, or no examples.
  public init(
    _ model: Model, _ examples: [Model.Example], _ options: TrainingOptions
  ) throws(DiffError) {
    try options.check()
    guard !examples.isEmpty else { throw DiffError(.usage, "no examples to train on") }
    let (places, unused) = model.layout.trainable(frozen: options.frozen)
    if let glob = unused.first {
      throw DiffError(.usage, "no parameter to freeze matches '\(glob)'")
    }
    learning = places
    frozen = model.layout.parameters.indices.filter { !places.contains($0) }
    self.model = model
    self.options = options
    self.examples = examples
    values = FloatBuffer(count: model.layout.count)
    gradients = Gradients(model.layout)
    plan = TrainingPlan(options, examples: examples.count)
  }

  /// Trains until the end, or until the callback stops the training.
  ///
  /// - Parameters:
  ///   - resuming: True to continue from the state at `statePath`.
  ///   - progress: Called after every step.
  /// - Throws: `unsupported` if training diverges, errors of the model, `io`; `checksum` or
  ///   `mismatch` for a state that is damaged or of another training.
  public func run(
    resuming: Bool = false, _ progress: (TrainingProgress) -> TrainingDecision
  ) throws(DiffError) -> Outcome {
    let values = values
    values.clear(0..<values.count)
    gradients.clear()
    selection = SelectionFacts()
    best = nil
    try model.initialize(values, seed: options.seed)
    start = XXH3.hash64(values.bytes(0..<values.count))
    try ranks.require(same: agreements)
    var position = TrainingPlan.Position()
    if resuming, let statePath {
      position = try restore(statePath)
    } else {
      learner = try makeLearner(0, nil)
    }
    let clock = ContinuousClock()
    var saved = clock.now
    while position.stage < plan.stages.count {
      let stage = plan.stages[position.stage]
      while position.step < stage.steps {
        var report = try step(position)
        position.step += 1
        if position.step % stage.stepsPerEpoch == 0 {
          try checkRanks(report)
          if let evaluate {
            learner?.settle()
            report.scores = try evaluate(values)
            try keepIfBest(report, position)
          }
        }
        let decision = try ranks.any(progress(report) == .stop) ? TrainingDecision.stop : .more
        let isDue = (clock.now - saved) / .seconds(1) > secondsBetweenSaves
        if let statePath, ranks.isFirst, isDue || decision == .stop {
          do throws(DiffError) { try save(position, to: statePath) } catch {
            guard decision == .more, let saveFailed else { throw error }
            saveFailed(error)
          }
          saved = clock.now
        }
        if decision == .stop {
          ranks.leave()
          return .stopped
        }
      }
      learner?.settle()
      if position.stage == plan.stages.count - 1, best != nil, let bestPath {
        _ = try restore(bestPath)
      }
      position = TrainingPlan.Position(stage: position.stage + 1)
      if position.stage < plan.stages.count {
        learner = try makeLearner(position.stage, learner)
      }
    }
    return .finished(try finish())
  }

  /// The path of the file in which the best epoch is stored.
  public var bestPath: String? { bestScore == nil ? nil : statePath.map { $0 + ".best" } }

  /// Stores an epoch of the last stage if its score is the highest.
  private func keepIfBest(
    _ report: TrainingProgress, _ position: TrainingPlan.Position
  ) throws(DiffError) {
    guard let bestScore, let bestPath, position.stage == plan.stages.count - 1,
      let score = report.scores?[bestScore], score > best?.score ?? -.infinity
    else { return }
    let last = best
    // Before it is saved, so that the epoch that is restored at the end is named as itself.
    best = (report.epoch, score)
    guard ranks.isFirst else { return }
    do throws(DiffError) { try save(position, to: bestPath) } catch {
      // Other ranks would take it for the best.
      guard ranks.count == 1, let saveFailed else { throw error }
      best = last
      saveFailed(error)
    }
  }

  /// Takes one step of a stage.
  private func step(_ position: TrainingPlan.Position) throws(DiffError) -> TrainingProgress {
    let stage = plan.stages[position.stage]
    guard let learner else { preconditionFailure("a stage without a learner") }
    learner.prepare(step: position.step)
    let batches = plan.batches(position)
    let drops = options.dropout && (position.stage == 0 || options.fixedDropout)
    let count = batches.reduce(0) { $0 + $1.count }
    let number = plan.stepsBefore(position.stage) + position.step
    let traffic = ranks.traffic
    var loss = 0.0
    for (index, batch) in batches.enumerated() {
      let lengths = batch.map { examples[$0].length }
      let share = ranks.share(of: lengths)
      if index == batches.count - 1 { sum?.begin() }
      guard !share.isEmpty else { continue }
      var dropout = Dropout(
        seed: options.seed, step: UInt64(number * options.accumulation + index))
      dropout.preceding = BatchExtent(lengths[..<share.lowerBound])
      loss += try model.addGradients(
        of: batch[share].map { examples[$0] }, at: values, scale: 1 / Float(count),
        dropout: drops ? dropout : nil, to: gradients)
    }
    try sum?.finish()
    loss = try ranks.sum(loss)
    // Parameters without gradient do not move under Adam, and are not selected either. Models may
    // calculate gradients that are not required.
    for index in frozen {
      for range in gradients.ranges(of: index) { gradients.values.clear(range) }
    }
    loss /= Double(max(1, count))
    guard loss.isFinite else { throw ranks.common(diverged("loss", step: number + 1)) }
    let rate = stage.rate(position.step, warmUp: options.warmUp)
    let facts = learner.update(step: position.step, rate: rate)
    guard facts.norm.isFinite else { throw ranks.common(diverged("gradient", step: number + 1)) }
    gradients.clear()
    sum?.clear()
    return TrainingProgress(
      stage: stage.kind, step: number + 1, steps: plan.steps,
      epoch: position.step / stage.stepsPerEpoch, loss: loss, examples: count, rate: rate,
      norm: facts.norm, lambda: facts.lambda, expectedDensity: facts.gates?.expectedDensity,
      twiceOpenDensity: facts.gates?.twiceOpenDensity, openDensity: facts.gates?.openDensity,
      shares: facts.shares, traffic: sum == nil ? nil : ranks.traffic - traffic)
  }

  /// Throws if the values of ranks differ, as they might on processors that round differently.
  private func checkRanks(_ report: TrainingProgress) throws(DiffError) {
    guard ranks.count > 1 else { return }
    let values = values
    let checksum = XXH3.hash64(values.bytes(0..<values.count))
    try ranks.require(same: [("after step \(report.step) other values", "\(checksum)")])
  }

  private func diverged(_ what: String, step: Int) -> DiffError {
    DiffError(
      .unsupported,
      "training diverged: the \(what) of step \(step) is not finite; try smaller learning rates")
  }

  // MARK: State

  private var identity: String {
    let lengths = examples.map(\.length)
    let data = "\(lengths)|\(start)|\(context)"
    return "\(options)|\(model.layout.hashable)|\(model.calculation)|\(data)"
  }

  /// The properties that must be equal on all ranks.
  private var agreements: [(name: String, text: String)] {
    [
      ("other settings", "\(options)\(model.calculation)\(ranks.precision)"),
      ("other rows", "\(examples.map(\.length))\(context)"),
      // Last, since the first values of the head depend on settings.
      ("another base", "\(model.layout.hashable)\(start)"),
    ]
  }

  private func save(_ position: TrainingPlan.Position, to path: String) throws(DiffError) {
    let writer = try StateWriter(path)
    try writer.put(Array(identity.utf8))
    try writer.put([Double(ranks.count)])
    try writer.put([Double(position.stage)])
    try writer.put([Double(position.step)])
    try writer.put([Double(best?.epoch ?? -1), best?.score ?? 0])
    try selection.save(to: writer)
    try learner?.save(to: writer)
    try writer.commit()
  }

  private func restore(_ path: String) throws(DiffError) -> TrainingPlan.Position {
    let reader = try StateReader(path, ranks)
    guard try reader.takeBytes() == Array(identity.utf8) else {
      throw ranks.common(
        DiffError(
          .mismatch,
          "is the state of a training with another base, other settings, threads or data",
          path: path))
    }
    let count = try reader.takeInt(in: 1...Int(Int32.max))
    if count != ranks.count { otherRanks?(count) }
    let position = TrainingPlan.Position(
      stage: try reader.takeInt(in: 0...plan.stages.count - 1),
      step: try reader.takeInt(in: 0...plan.steps))
    let stored = try reader.takeDoubles(2)
    best = stored[0] < 0 ? nil : (Int(clamping: Int64(stored[0])), stored[1])
    try selection.restore(from: reader, places: model.layout.count)
    learner = try makeLearner(position.stage, nil, positions: selection.positions)
    try learner?.restore(from: reader)
    try reader.finish()
    return position
  }
}

extension ParameterLayout {
  /// Names and shapes, to distinguish layouts across runs.
  fileprivate var hashable: String {
    parameters.map { "\($0.name)\($0.shape)" }.joined(separator: ";")
  }
}
