import ArgumentParser
import DiffTraining

extension TrainingOptions.Method: ExpressibleByArgument {}
extension GatePenalty: ExpressibleByArgument {}
extension GateSlope: ExpressibleByArgument {}
extension EncoderModel.Pooling: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}

extension GateGrouping: ExpressibleByArgument {
  /// Creates a grouping from its description.
  public init?(argument: String) { self.init(argument) }
}

/// Settings to start from.
enum TrainingPreset: String, ExpressibleByArgument, CaseIterable {
  case standard
  case paper

  var options: TrainingOptions { self == .paper ? .paper : TrainingOptions() }
}

/// The default settings that `--help` shows: with gates, of all weights, and by magnitude.
private let defaults = TrainingOptions()
private let (full, magnitude) = (
  TrainingOptions(method: .full), TrainingOptions(method: .magnitude)
)

/// Options that change training settings. Settings that are not given are unchanged.
struct TrainingFlags: ParsableArguments {
  @Option(help: "The settings to start from: standard, or those of the paper (a fixed lambda).")
  var preset: TrainingPreset?

  @Option(help: "The training method (\(defaults.method.rawValue)).")
  var method: TrainingOptions.Method?

  @Option(help: "The share of elements that change (\(defaults.density)).")
  var density: Double?

  @Option(help: "A fixed penalty for an open gate, instead of one controlled to reach the density.")
  var lambda: Double?

  @Option(help: "The groups that share a gate: tensor, row, column, head:SIZE or none (tensor).")
  var grouping: GateGrouping?

  @Option(help: "How open gates are counted (\(defaults.penalty.rawValue)).")
  var penalty: GatePenalty?

  @Option(
    name: .customLong("gate-slope"),
    help: "The slope of gates: their expected slope (default), or the drawn one of the paper.")
  var slope: GateSlope?

  @Option(help: "The seed of all random choices (\(defaults.seed)).")
  var seed: UInt64?

  @Option(
    help: """
      Epochs in which gates, or all parameters, are trained (\(defaults.usedEpochs); \
      \(full.usedEpochs) if nothing follows).
      """)
  var epochs: Int?

  @Option(
    help: """
      Epochs in which the fixed selection is trained (\(defaults.usedFixedEpochs); \
      \(full.usedFixedEpochs) if nothing is trained before).
      """)
  var fixedEpochs: Int?

  @Option(name: .customLong("batch"), help: "Examples per batch (\(defaults.batchSize)).")
  var batchSize: Int?

  @Option(help: "Batches per step (\(defaults.accumulation)).")
  var accumulate: Int?

  @Option(
    name: .customLong("lr"),
    help: """
      The learning rate of all weights (\(full.usedLearningRate)), or of those with gates \
      (\(defaults.usedLearningRate)).
      """)
  var learningRate: Double?

  @Option(
    name: .customLong("lr-gates"),
    help: "The learning rate of gates (\(defaults.gateLearningRate)).")
  var gateLearningRate: Double?

  @Option(
    name: .customLong("lr-groups"),
    help: "The learning rate of group gates (\(defaults.groupLearningRate)).")
  var groupLearningRate: Double?

  @Option(
    name: .customLong("lr-fixed"),
    help: """
      The learning rate of a fixed selection; the default depends on method and density \
      (\(defaults.usedFixedLearningRate) at \(defaults.density) with gates, \
      \(magnitude.usedFixedLearningRate) by magnitude).
      """)
  var fixedLearningRate: Double?

  @Option(
    name: .customLong("lr-head"),
    help: "The learning rate of the head (\(defaults.headLearningRate)).")
  var headLearningRate: Double?

  @Option(help: "The share of steps in which learning rates warm up (\(defaults.warmUp)).")
  var warmUp: Double?

  @Option(help: "The norm to which gradients are clipped (\(defaults.clip)).")
  var clip: Double?

  @Option(
    help: """
      Weight decay of parameters that are trained without a selection: the head, or all with \
      --method full (\(defaults.weightDecay)).
      """)
  var weightDecay: Double?

  @Option(help: "Parameters that are not trained: a glob of their names; may be repeated.")
  var freeze: [String] = []

  @Flag(help: "Train without the model's dropout.")
  var noDropout = false

  @Flag(help: "Train a selection found by the first stage without dropout.")
  var noFixedDropout = false
  @Option(
    help: "The weights of the classes: balanced, or numbers separated by commas.",
    transform: { text in
      guard let weights = ClassWeights(text) else {
        throw ValidationError("give balanced, or numbers above 0 separated by commas")
      }
      return weights
    })
  var classWeights: ClassWeights?

  @Flag(help: "Keep the epoch with the best score on the dev rows, not the last one.")
  var best = false

  /// Returns `options` with the settings that are given.
  func applied(to options: TrainingOptions) -> TrainingOptions {
    var options = preset?.options ?? options
    func set<Value>(_ path: WritableKeyPath<TrainingOptions, Value>, _ value: Value?) {
      if let value { options[keyPath: path] = value }
    }
    // Preferred for settings that may be nil, which the other would set to nil.
    func set<Value>(_ path: WritableKeyPath<TrainingOptions, Value?>, _ value: Value?) {
      if let value { options[keyPath: path] = value }
    }
    set(\.method, method)
    set(\.density, density)
    set(\.lambda, lambda)
    set(\.grouping, grouping)
    set(\.penalty, penalty)
    set(\.slope, slope)
    set(\.seed, seed)
    set(\.epochs, epochs)
    set(\.fixedEpochs, fixedEpochs)
    set(\.batchSize, batchSize)
    set(\.accumulation, accumulate)
    set(\.learningRate, learningRate)
    set(\.gateLearningRate, gateLearningRate)
    set(\.groupLearningRate, groupLearningRate)
    set(\.fixedLearningRate, fixedLearningRate)
    set(\.headLearningRate, headLearningRate)
    set(\.warmUp, warmUp)
    set(\.clip, clip)
    set(\.weightDecay, weightDecay)
    if !freeze.isEmpty { options.frozen = freeze }
    if noDropout { options.dropout = false }
    if noFixedDropout { options.fixedDropout = false }
    set(\.classWeights, classWeights)
    if best { options.best = true }
    return options
  }
}
