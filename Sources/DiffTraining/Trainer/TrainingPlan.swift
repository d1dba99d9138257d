import TensorCore

/// The stages of a training in order, their steps, and the examples of each step.
struct TrainingPlan {
  /// A step of a stage.
  struct Position {
    var stage = 0
    var step = 0
  }

  /// A part of a training.
  struct Stage {
    let kind: TrainingProgress.Stage
    let steps: Int
    let stepsPerEpoch: Int

    /// Returns the share of the highest learning rate: rising in a straight line, then falling to
    /// zero.
    func rate(_ step: Int, warmUp share: Double) -> Double {
      let schedule = Schedule(peak: 1, warmUp: Int(share * Double(steps)), total: steps)
      return Double(schedule.rate(at: step))
    }
  }

  let stages: [Stage]
  private let options: TrainingOptions
  private let examples: Int
  /// The batches of the epoch that was requested last.
  private var epoch: (stage: Int, number: Int, batches: [[Int]])?

  init(_ options: TrainingOptions, examples: Int) {
    self.options = options
    self.examples = examples
    let perStep = options.batchSize * options.accumulation
    let perEpoch = (examples + perStep - 1) / perStep
    func stage(_ kind: TrainingProgress.Stage, _ epochs: Int) -> Stage {
      Stage(kind: kind, steps: perEpoch * epochs, stepsPerEpoch: perEpoch)
    }
    let fixed = stage(.fixed, options.usedFixedEpochs)
    switch options.method {
    case .structured, .unstructured: stages = [stage(.gates, options.usedEpochs), fixed]
    case .full: stages = [stage(.full, options.usedEpochs)]
    case .magnitude: stages = [stage(.full, options.usedEpochs), fixed]
    case .fisher:
      let sample = min(examples, Self.fisherExamples)
      stages = [Stage(kind: .fisher, steps: sample, stepsPerEpoch: sample), fixed]
    case .random, .bitfit, .lastLayer: stages = [fixed]
    }
  }

  /// The number of examples that the authors of FISH masks found to be enough.
  private static let fisherExamples = 1024

  /// The number of steps of all stages.
  var steps: Int { stages.reduce(0) { $0 + $1.steps } }

  /// Returns the number of steps of the stages before one.
  func stepsBefore(_ stage: Int) -> Int { stages[..<stage].reduce(0) { $0 + $1.steps } }

  /// Returns the examples of a step, in its batches: a function of seed, stage and epoch.
  mutating func batches(_ position: Position) -> [[Int]] {
    let stage = stages[position.stage]
    let (epoch, step) = position.step.quotientAndRemainder(dividingBy: stage.stepsPerEpoch)
    let isFisher = stage.kind == .fisher
    if self.epoch?.stage != position.stage || self.epoch?.number != epoch {
      // Nothing is padded, so lengths may mix.
      let batches = Batches(
        size: isFisher ? 1 : options.batchSize, pool: 1,
        seed: options.seed &+ UInt64(position.stage) << 32
      ).batches([Int](repeating: 1, count: examples), epoch: epoch)
      self.epoch = (position.stage, epoch, batches)
    }
    let batches = self.epoch?.batches ?? []
    let each = isFisher ? 1 : options.accumulation
    return Array(batches[step * each..<min(batches.count, (step + 1) * each)])
  }
}

extension TrainingOptions {
  /// Checks that the settings are in their ranges.
  ///
  /// - Throws: `usage`.
  public func check() throws(DiffError) {
    func require(_ isRight: Bool, _ message: String) throws(DiffError) {
      if !isRight { throw DiffError(.usage, message) }
    }
    try require(
      density > 0 && density <= 1,
      "the density must be above 0 and at most 1, as 0.005 for 0.5 %, not \(density)")
    try require(usedEpochs > 0 && usedFixedEpochs > 0, "there must be at least one epoch")
    try require(usedEpochs <= 1 << 20 && usedFixedEpochs <= 1 << 20, "too many epochs")
    try require(
      batchSize > 0 && batchSize <= 1 << 20 && accumulation > 0 && accumulation <= 1 << 20,
      "batches must have at least one example")
    let rates = [
      usedLearningRate, gateLearningRate, groupLearningRate, usedFixedLearningRate,
      headLearningRate, epsilon,
    ]
    try require(
      rates.allSatisfy { $0 > 0 && $0.isFinite }, "learning rates and epsilon must be above 0")
    try require(
      weightDecay >= 0 && weightDecay.isFinite, "the weight decay must not be negative")
    try require(
      clip > 0 && clip.isFinite, "the norm to which gradients are clipped must be above 0")
    try require(lambda.map { $0 >= 0 && $0.isFinite } ?? true, "lambda must not be negative")
    try require(
      start >= 0 && start < landing && landing <= 1,
      "gates must begin to close before they are closed: 0 ≤ start < landing ≤ 1")
    try require((0..<1).contains(warmUp), "the share of the warm-up must be in 0 ..< 1")
  }
}
