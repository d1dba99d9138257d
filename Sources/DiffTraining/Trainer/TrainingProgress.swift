/// How far a training is, and what its last step found.
public struct TrainingProgress: Sendable, Hashable {
  /// A part of a training.
  public enum Stage: String, Sendable, Hashable {
    /// Weights and gates learn, under the penalty.
    case gates
    /// Everything learns.
    case full
    /// Squared gradients are summed.
    case fisher
    /// A fixed selection learns.
    case fixed
  }

  /// The stage.
  public var stage: Stage
  /// Steps of all stages that are done, this one included.
  public var step: Int
  /// Steps of all stages.
  public var steps: Int
  /// The round over the examples within the stage, from 0.
  public var epoch: Int
  /// The mean loss of the step's examples.
  public var loss = 0.0
  /// How many they were.
  public var examples = 0
  /// The share of the highest learning rate.
  public var rate = 0.0
  /// The length of the weights' gradient, before clipping.
  public var norm = 0.0
  /// While gates learn, the price of an open one.
  public var lambda: Double?
  /// While gates learn, E‖δ‖₀ / elements.
  public var expectedDensity: Double?
  /// While gates learn, the share of them that two draws in a row find open, which λ follows.
  public var twiceOpenDensity: Double?
  /// While gates learn, the share of elements whose gate is open without chance; not of rows that
  /// were never read, or of what is frozen.
  public var openDensity: Double?
  /// With several ranks, the payload bytes that this one handed to MPI for the step.
  public var traffic: UInt64?
  /// At the end of an epoch, what `Trainer.evaluate` said.
  public var scores: [String: Double]?
}

/// Whether a training goes on.
public enum TrainingDecision: Sendable, Hashable {
  case more
  /// Save and stop; the same call with `resuming` goes on.
  case stop
}
