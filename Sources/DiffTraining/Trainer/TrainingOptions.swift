import Platform

/// The settings of a training.
public struct TrainingOptions: Sendable, Hashable, Codable {
  /// A method of selecting and training parameters.
  public enum Method: String, Sendable, Hashable, CaseIterable, Codable {
    /// Diff pruning with gates of elements and of groups (Guo, Rush, Kim 2021).
    case structured
    /// Diff pruning with gates of elements alone.
    case unstructured
    /// All parameters.
    case full
    /// Full finetuning, then further training of only the elements that moved farthest.
    case magnitude
    /// The elements with the largest squared gradients (FISH mask: Sung, Nair, Raffel 2021).
    case fisher
    /// Random elements.
    case random
    /// The biases (BitFit: Ben Zaken, Ravfogel, Goldberg 2021).
    case bitfit
    /// The last layer of the encoder and its pooler.
    case lastLayer = "last-layer"

    /// True if a first stage finds the elements that a second one trains.
    public var hasTwoStages: Bool {
      switch self {
      case .structured, .unstructured, .magnitude: true
      case .full, .fisher, .random, .bitfit, .lastLayer: false
      }
    }

    /// True if the density determines the number of elements that are trained.
    public var hasDensity: Bool {
      switch self {
      case .structured, .unstructured, .magnitude, .fisher, .random: true
      case .full, .bitfit, .lastLayer: false
      }
    }
  }

  /// The method of selecting parameters. The head is always trained.
  public var method = Method.structured
  /// Elements that change / elements of the body.
  public var density = 0.005
  /// The penalty of an open gate; nil to adjust it to the density.
  public var lambda: Double?
  /// The share of the gates' steps after which they begin to close.
  public var start = 0.2
  /// The share of the gates' steps after which they are to be at the density.
  public var landing = 0.8
  /// The grouping of gates (`structured`).
  public var grouping = GateGrouping.tensor
  /// The way in which the penalty counts gates.
  public var penalty = GatePenalty.product
  /// The derivative by which gates are trained.
  public var slope = GateSlope.expected
  /// The seed of the head's initial values, the order of examples, gates and dropout.
  public var seed: UInt64 = 0
  /// The number of rounds over the examples while gates, or all parameters, are trained; nil for
  /// `usedEpochs`.
  public var epochs: Int?
  /// The number of rounds over the examples while a fixed selection is trained; nil for
  /// `usedFixedEpochs`.
  public var fixedEpochs: Int?
  /// The number of examples in a batch.
  public var batchSize = 16
  /// The number of batches whose mean gradient a step uses.
  public var accumulation = 1
  /// The highest learning rate of all parameters, or of the weights under gates; nil for
  /// `usedLearningRate`.
  public var learningRate: Double?
  /// The highest learning rate of the gates of elements.
  public var gateLearningRate = 0.1
  /// The highest learning rate of the gates of groups: lower, so that a group depends on the
  /// elements that stay open, not on the many that close.
  public var groupLearningRate = 0.01
  /// The highest learning rate of a fixed selection; nil for `usedFixedLearningRate`.
  public var fixedLearningRate: Double?
  /// The highest learning rate of the head.
  public var headLearningRate = 5e-4
  /// The share of steps in which learning rates rise, before they fall in a straight line.
  public var warmUp = 0.0
  /// The norm to which gradients are clipped, those of weights and of gates separately.
  public var clip = 1.0
  /// The number added to the root of Adam's second moment.
  public var epsilon = 1e-8
  /// The decoupled weight decay of parameters trained as a whole: the head, and with `full` all.
  public var weightDecay = 0.0
  /// Globs of parameters that keep the values of the base: `*` is any text, `?` one scalar.
  public var frozen: [String] = []
  /// True if the model's dropout is used.
  public var dropout = true
  /// True if it is also used while a selection of the stage before is trained.
  public var fixedDropout = true
  /// The weights of the examples of each class; nil for equal weights.
  public var classWeights: ClassWeights?
  /// True to keep the epoch of the last stage with the best dev score; nil to keep the last one.
  public var best: Bool?

  /// Creates the default settings.
  public init(method: Method = .structured) { self.method = method }

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

/// The settings that depend on the method unless they are given: those that spec/METHODS.md found for
/// each on held-out training rows.
extension TrainingOptions {
  /// The same settings with those that depend on the method written out.
  public var resolved: TrainingOptions {
    var options = self
    (options.epochs, options.fixedEpochs) = (usedEpochs, usedFixedEpochs)
    (options.learningRate, options.fixedLearningRate) = (usedLearningRate, usedFixedLearningRate)
    return options
  }

  /// The rounds of the first stage: three, or six where there is no other.
  public var usedEpochs: Int { epochs ?? roundsOfStage }

  /// The rounds of a fixed selection: three, or six where there is no stage before.
  public var usedFixedEpochs: Int { fixedEpochs ?? roundsOfStage }

  /// Six rounds, shared by the stages of the method.
  private var roundsOfStage: Int { method.hasTwoStages ? 3 : 6 }

  /// The learning rate of all parameters, or of the weights under gates.
  public var usedLearningRate: Double {
    learningRate ?? (method == .structured || method == .unstructured ? 1e-4 : 5e-5)
  }

  /// The learning rate of a fixed selection: the fewer elements, the farther each has to move.
  ///
  /// The exponent was found with masks by magnitude of densities from 0.01 % to 100 %: the best of
  /// rates a factor of two apart fall on this line.
  public var usedFixedLearningRate: Double {
    if let fixedLearningRate { return fixedLearningRate }
    let atHalfPercent =
      switch method {
      case .structured, .unstructured: slope == .drawn ? 3e-3 : 1e-3
      case .fisher, .lastLayer: 1e-3
      case .magnitude, .bitfit, .full: 3e-3
      case .random: 1e-2
      }
    return method.hasDensity ? atHalfPercent * pow(0.005 / density, 0.65) : atHalfPercent
  }
}
