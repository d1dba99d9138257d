import TensorCore

/// The part of the parameters that a stage trains, with its optimizer.
protocol Learner: AnyObject {
  /// Calculates the values at which the gradients of a step will be taken, unless the last step has
  /// calculated them already.
  func prepare(step: Int)

  /// The gradients that `update` reads.
  var reads: GradientSelection { get }

  /// Takes a step with the current gradients.
  ///
  /// - Parameters:
  ///   - step: The step, counted from 0 within the stage.
  ///   - rate: The share of the highest learning rates.
  func update(step: Int, rate: Double) -> LearnerFacts

  /// Sets the values to those of the model without randomness. `prepare` reverses this.
  func settle()

  /// Writes everything that the next step depends on.
  func save(to state: StateWriter) throws(DiffError)
  func restore(from state: StateReader) throws(DiffError)
}

/// The measurements of a step.
struct LearnerFacts {
  /// ‖gradient‖ of the trained parameters, before clipping.
  var norm: Double
  /// In gated training, λ and the measurements of the gates.
  var lambda: Double?
  var gates: GatedParameters.Measure?
  /// The parameters of the body, if only some of their elements change.
  var shares: [TrainingProgress.ParameterShare] = []
}

extension TrainingOptions {
  /// Returns the factor that clips a gradient of this squared norm.
  func clipping(_ squaredNorm: Double) -> Double {
    let norm = squaredNorm.squareRoot()
    return norm > clip ? clip / norm : 1
  }

  func adam(_ rate: Double, step: Int, scale: Double) -> AdamStep {
    AdamStep(learningRate: rate, number: step + 1, epsilon: epsilon, scale: scale)
  }

  /// Returns the optimizer of parameters that are trained as a whole.
  func optimizer(_ layout: ParameterLayout, _ parameters: [Int]) -> AdamW {
    var adam = AdamW.Options()
    adam.epsilon = epsilon
    adam.decay = weightDecay
    adam.clipping = Clipping(limit: Float(clip))
    return AdamW(layout, parameters: parameters, options: adam)
  }
}
