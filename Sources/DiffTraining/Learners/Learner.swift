import TensorCore

/// What learns in a stage of a training, and how.
protocol Learner: AnyObject {
  /// Makes the values that the gradients of a step will be taken at, where the last step has not
  /// made them already.
  func prepare(step: Int)

  /// The gradients that `update` reads.
  var reads: GradientSelection { get }

  /// Takes a step with the gradients that are there.
  ///
  /// - Parameters:
  ///   - step: Counts from 0 within the stage.
  ///   - rate: The share of the highest learning rates that is taken.
  func update(step: Int, rate: Double) -> LearnerFacts

  /// Makes the values those of the model without chance. `prepare` takes it back.
  func settle()

  /// All that the next step depends on.
  func save(to state: StateWriter) throws(DiffError)
  func restore(from state: StateReader) throws(DiffError)
}

/// What a step did.
struct LearnerFacts {
  /// ‖gradient‖ of what learns, before clipping.
  var norm: Double
  /// Of gated training: λ and what the gates are.
  var lambda: Double?
  var gates: GatedParameters.Measure?
}

extension TrainingOptions {
  /// The factor that shortens a gradient of this squared norm.
  func clipping(_ squaredNorm: Double) -> Double {
    let norm = squaredNorm.squareRoot()
    return norm > clip ? clip / norm : 1
  }

  func adam(_ rate: Double, step: Int, scale: Double) -> AdamStep {
    AdamStep(learningRate: rate, number: step + 1, epsilon: epsilon, scale: scale)
  }

  /// The optimizer of what learns whole.
  func optimizer(_ layout: ParameterLayout, _ parameters: [Int]) -> AdamW {
    var adam = AdamW.Options()
    adam.epsilon = epsilon
    adam.decay = weightDecay
    adam.clipping = Clipping(limit: Float(clip))
    return AdamW(layout, parameters: parameters, options: adam)
  }
}
