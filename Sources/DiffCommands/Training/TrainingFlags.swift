import ArgumentParser
import DiffTraining

extension TrainingOptions.Method: ExpressibleByArgument {}
extension GatePenalty: ExpressibleByArgument {}
extension GateSlope: ExpressibleByArgument {}
extension EncoderModel.Pooling: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}

extension GateGrouping: ExpressibleByArgument {
  /// A grouping by its description.
  public init?(argument: String) { self.init(argument) }
}

/// Settings that one may start from.
enum TrainingPreset: String, ExpressibleByArgument, CaseIterable {
  case standard
  case paper

  var options: TrainingOptions { self == .paper ? .paper : TrainingOptions() }
}

/// What `help` says.
private let defaults = TrainingOptions()

/// Options that change how a finetune is made. What is not given stays as it was.
struct TrainingFlags: ParsableArguments {
  @Option(help: "Settings to start from: standard, or those of the paper (a fixed lambda).")
  var preset: TrainingPreset?

  @Option(help: "What learns (\(defaults.method.rawValue)).")
  var method: TrainingOptions.Method?

  @Option(help: "The share of elements that change in the end (\(defaults.density)).")
  var density: Double?

  @Option(help: "A fixed price of an open gate, instead of one that is led to the density.")
  var lambda: Double?

  @Option(help: "What shares a gate: tensor, row, column, head:SIZE or none (tensor).")
  var grouping: GateGrouping?

  @Option(help: "How open gates are counted (\(defaults.penalty.rawValue)).")
  var penalty: GatePenalty?

  @Option(
    name: .customLong("gate-slope"),
    help: "What gates learn by: their expected slope (default), or the paper's drawn one.")
  var slope: GateSlope?

  @Option(help: "The seed of everything that chance decides (\(defaults.seed)).")
  var seed: UInt64?

  @Option(help: "Rounds over the data while gates, or everything, learn (\(defaults.epochs)).")
  var epochs: Int?

  @Option(help: "Rounds over the data while the selection learns on (\(defaults.fixedEpochs)).")
  var fixedEpochs: Int?

  @Option(name: .customLong("batch"), help: "Examples of a batch (\(defaults.batchSize)).")
  var batchSize: Int?

  @Option(help: "Batches of a step (\(defaults.accumulation)).")
  var accumulate: Int?

  @Option(
    name: .customLong("lr"),
    help: "The learning rate of everything, or behind gates (\(defaults.learningRate)).")
  var learningRate: Double?

  @Option(
    name: .customLong("lr-gates"),
    help: "The learning rate of gates (\(defaults.gateLearningRate)).")
  var gateLearningRate: Double?

  @Option(
    name: .customLong("lr-groups"),
    help: "The learning rate of the gates of groups (\(defaults.groupLearningRate)).")
  var groupLearningRate: Double?

  @Option(
    name: .customLong("lr-fixed"),
    help: """
      The learning rate of a fixed selection (by the density: \(defaults.usedFixedLearningRate) at \
      \(defaults.density)).
      """)
  var fixedLearningRate: Double?

  @Option(
    name: .customLong("lr-head"),
    help: "The learning rate of the head (\(defaults.headLearningRate)).")
  var headLearningRate: Double?

  @Option(help: "The share of steps in which learning rates rise (\(defaults.warmUp)).")
  var warmUp: Double?

  @Option(help: "The length that gradients are cut to (\(defaults.clip)).")
  var clip: Double?

  @Option(
    help: """
      Weight decay of what learns whole: the head, with --method full everything \
      (\(defaults.weightDecay)).
      """)
  var weightDecay: Double?

  @Option(help: "Parameters that do not learn: a glob of their names; may be given often.")
  var freeze: [String] = []

  @Flag(help: "Leave the model's dropout out.")
  var noDropout = false

  @Flag(help: "Leave it out while a selection learns that the first stage has found.")
  var noFixedDropout = false
  @Option(
    help: "How much examples of each class count: balanced, or numbers with commas between.",
    transform: { text in
      guard let weights = ClassWeights(text) else {
        throw ValidationError("balanced, or numbers above 0 with commas between")
      }
      return weights
    })
  var classWeights: ClassWeights?

  @Flag(help: "Keep the epoch with the best score on the dev rows, not the last one.")
  var best = false

  /// `options` with what was given.
  func applied(to options: TrainingOptions) -> TrainingOptions {
    var options = preset?.options ?? options
    func set<Value>(_ path: WritableKeyPath<TrainingOptions, Value>, _ value: Value?) {
      if let value { options[keyPath: path] = value }
    }
    set(\.method, method)
    set(\.density, density)
    if let lambda { options.lambda = lambda }
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
    if let classWeights { options.classWeights = classWeights }
    if best { options.best = true }
    return options
  }
}
