import TensorCore

/// The progress of a training, with the measurements of its last step.
public struct TrainingProgress: Sendable, Hashable {
  /// A stage of a training.
  public enum Stage: String, Sendable, Hashable {
    /// Weights and gates are trained, under the penalty.
    case gates
    /// All parameters are trained.
    case full
    /// Squared gradients are summed.
    case fisher
    /// A fixed selection is trained.
    case fixed
  }

  /// A parameter that is not of the head, and the number of its elements that change.
  public struct ParameterShare: Sendable, Hashable {
    /// The name of the parameter.
    public let name: TensorName
    /// The number of its elements.
    public let elements: Int
    /// While gates are trained, the number of elements that are expected to be open, and the number
    /// of those that are when settled; see `expectedDensity` and `openDensity`.
    public var expected, open: Double?
    /// While a fixed selection is trained, the number of its elements.
    public var kept: Int?

    init(_ parameter: ParameterLayout.Parameter) {
      (name, elements) = (parameter.name, parameter.range.count)
    }
  }

  /// The stage.
  public var stage: Stage
  /// The number of completed steps of all stages, including this one.
  public var step: Int
  /// The number of steps of all stages.
  public var steps: Int
  /// The round over the examples within the stage, from 0.
  public var epoch: Int
  /// The mean loss of the step's examples.
  public var loss = 0.0
  /// The number of examples in the step.
  public var examples = 0
  /// The share of the highest learning rate.
  public var rate = 0.0
  /// The norm of the weights' gradient, before clipping.
  public var norm = 0.0
  /// While gates are trained, the penalty of an open one.
  public var lambda: Double?
  /// While gates are trained, E‖δ‖₀ / elements.
  public var expectedDensity: Double?
  /// While gates are trained, the share of elements open in two successive draws, which λ follows.
  public var twiceOpenDensity: Double?
  /// While gates are trained, the share of elements whose gate is open when settled; rows that were
  /// never read and frozen parameters do not count.
  public var openDensity: Double?
  /// The parameters that densities are about: empty while all are trained as a whole.
  public var shares: [ParameterShare] = []
  /// With several ranks, the number of payload bytes that this one passed to MPI in the step.
  public var traffic: UInt64?
  /// At the end of an epoch, the result of `Trainer.evaluate`.
  public var scores: [String: Double]?
}

/// The decision to continue or stop a training.
public enum TrainingDecision: Sendable, Hashable {
  case more
  /// Save and stop; the same call with `resuming` continues.
  case stop
}
