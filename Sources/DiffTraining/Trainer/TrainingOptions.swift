import Platform

/// How a finetune is made.
public struct TrainingOptions: Sendable, Hashable, Codable {
  /// Which parameters learn, and how those that may are found.
  public enum Method: String, Sendable, Hashable, CaseIterable, Codable {
    /// Diff pruning with gates of elements and of groups (Guo, Rush, Kim 2021).
    case structured
    /// Diff pruning with gates of elements alone.
    case unstructured
    /// All.
    case full
    /// Full finetuning, then only what moved farthest learns on.
    case magnitude
    /// Those with the largest squared gradients (FISH mask: Sung, Nair, Raffel 2021).
    case fisher
    /// Some, drawn by chance.
    case random
    /// The biases (BitFit: Ben Zaken, Ravfogel, Goldberg 2021).
    case bitfit
    /// The last layer of the encoder and its pooler.
    case lastLayer = "last-layer"

    /// Whether the density says how many learn.
    public var hasDensity: Bool {
      switch self {
      case .structured, .unstructured, .magnitude, .fisher, .random: true
      case .full, .bitfit, .lastLayer: false
      }
    }
  }

  /// Which parameters learn. The head always does.
  public var method = Method.structured
  /// Elements that change / elements of the body.
  public var density = 0.005
  /// What an open gate costs; nil: whatever leads to the density.
  public var lambda: Double?
  /// The share of the gates' steps after which they begin to close.
  public var start = 0.2
  /// The share of the gates' steps after which they shall be at the density.
  public var landing = 0.8
  /// What groups of gates are made of (`structured`).
  public var grouping = GateGrouping.tensor
  /// How gates are counted.
  public var penalty = GatePenalty.product
  /// What gates learn by.
  public var slope = GateSlope.expected
  /// Of the head's first values, the order of examples, gates and dropout.
  public var seed: UInt64 = 0
  /// Rounds over the examples while gates learn, or everything does.
  public var epochs = 3
  /// Rounds over the examples while a fixed selection learns.
  public var fixedEpochs = 3
  /// Examples of a step.
  public var batchSize = 16
  /// Batches that a step's gradient is the mean of.
  public var accumulation = 1
  /// The highest learning rate of everything, or of the weights behind gates.
  public var learningRate = 1e-4
  /// That of the gates of elements.
  public var gateLearningRate = 0.1
  /// That of the gates of groups: slower, so that a group is judged by those of its elements that
  /// stay, not by the many that go.
  public var groupLearningRate = 0.01
  /// That of a fixed selection; nil: by the density, see `usedFixedLearningRate`.
  public var fixedLearningRate: Double?
  /// That of the head.
  public var headLearningRate = 5e-4
  /// The share of steps in which learning rates rise, before they fall in a straight line.
  public var warmUp = 0.0
  /// Gradients of weights and of gates are shortened to this norm, each.
  public var clip = 1.0
  /// Added to the root of Adam's second moment.
  public var epsilon = 1e-8
  /// Decoupled weight decay of what learns whole: the head, and with `full` everything.
  public var weightDecay = 0.0
  /// Globs of parameters that stay as the base has them: `*` is any text, `?` one scalar.
  public var frozen: [String] = []
  /// Whether the model's dropout is used.
  public var dropout = true
  /// Whether it is also used while a selection learns that a stage before has found.
  public var fixedDropout = true
  /// How much examples of each class count; nil: all alike.
  public var classWeights: ClassWeights?
  /// Whether the epoch of the last stage with the best dev score is kept; nil: the last one is.
  public var best: Bool?

  /// The defaults.
  public init() {}

  /// The settings of the paper and its code: raw λ, small steps of 8 examples.
  public static var paper: TrainingOptions {
    var options = TrainingOptions()
    options.lambda = 1.25e-7
    options.slope = .drawn
    options.batchSize = 8
    options.learningRate = 1e-5
    options.groupLearningRate = options.gateLearningRate
    options.headLearningRate = 1e-5
    options.fixedLearningRate = 5e-5
    return options
  }
}

extension TrainingOptions {
  /// The learning rate of a fixed selection: the fewer learn, the farther each has to go.
  ///
  /// Found on held-out training rows of CoLA, mr and VADER, three seeds, for densities from 0.01 %
  /// to 100 % (spec/METHODS.md): the best of rates a factor of two apart fall on this line.
  public var usedFixedLearningRate: Double {
    if let fixedLearningRate { return fixedLearningRate }
    return method.hasDensity ? 3e-3 * pow(0.005 / density, 0.65) : 3e-3
  }
}
