import TensorCore

/// What learns in a stage of a training, and how.
protocol Learner: AnyObject {
  /// Makes the values that the gradients of a step will be taken at, where the last step has not
  /// made them already.
  func prepare(step: Int)

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

/// Some parameters learn whole, and the head.
final class FullLearner: Learner {
  private let options: TrainingOptions
  private let body, head: AdamW
  private let values: FloatBuffer
  private let gradients: Gradients

  init(
    _ values: FloatBuffer, _ gradients: Gradients, _ options: TrainingOptions,
    _ learning: [Int]
  ) {
    self.options = options
    self.values = values
    self.gradients = gradients
    let layout = gradients.layout
    body = options.optimizer(layout, learning.filter { !layout.parameters[$0].isHead })
    head = options.optimizer(layout, layout.headIndices)
  }

  func prepare(step: Int) {}
  func settle() {}

  func update(step: Int, rate: Double) -> LearnerFacts {
    let norm = body.step(values, gradients, rate: Float(rate * options.learningRate))
    head.step(values, gradients, rate: Float(rate * options.headLearningRate))
    return LearnerFacts(norm: norm)
  }

  func save(to state: StateWriter) throws(DiffError) {
    try state.put(values)
    try body.save(to: state, gradients.layout)
    try head.save(to: state, gradients.layout)
  }

  func restore(from state: StateReader) throws(DiffError) {
    try state.take(values)
    try body.restore(from: state, gradients.layout)
    try head.restore(from: state, gradients.layout)
  }
}

/// The positions of a mask learn, and the head.
final class MaskedLearner: Learner {
  private let options: TrainingOptions
  let mask: MaskedParameters
  private let head: AdamW
  private let values: FloatBuffer
  private let gradients: Gradients

  init(
    _ mask: MaskedParameters, _ values: FloatBuffer, _ gradients: Gradients,
    _ options: TrainingOptions
  ) {
    self.options = options
    self.mask = mask
    self.values = values
    self.gradients = gradients
    head = options.optimizer(gradients.layout, gradients.layout.headIndices)
  }

  func prepare(step: Int) {}
  func settle() {}

  func update(step: Int, rate: Double) -> LearnerFacts {
    let norm = mask.measure(gradients.values)
    mask.update(
      options.adam(
        rate * options.fixedLearningRate, step: step, scale: options.clipping(norm)))
    head.step(values, gradients, rate: Float(rate * options.headLearningRate))
    return LearnerFacts(norm: norm.squareRoot())
  }

  func save(to state: StateWriter) throws(DiffError) {
    try mask.save(to: state)
    try head.save(to: state, gradients.layout)
    try state.putHead(values, gradients.layout)
  }

  func restore(from state: StateReader) throws(DiffError) {
    try mask.restore(from: state)
    try head.restore(from: state, gradients.layout)
    try state.takeHead(values, gradients.layout)
  }
}

/// The weights behind gates learn, the gates, and the head.
final class GatedLearner: Learner {
  private let options: TrainingOptions
  let gates: GatedParameters
  private let head: AdamW
  private let values: FloatBuffer
  private let gradients: Gradients
  private var controller: DensityController?
  /// The step whose draw the values are of.
  private var drawn: Int?
  /// The differences that `settle` found.
  private(set) var differences: FloatBuffer?

  init(
    _ values: FloatBuffer, _ gradients: Gradients, _ options: TrainingOptions,
    _ learning: [Int], steps: Int
  ) {
    self.options = options
    self.values = values
    self.gradients = gradients
    gates = GatedParameters(
      gradients.layout, values, gradients, of: learning,
      grouping: options.method == .structured ? options.grouping : .none,
      penalty: options.penalty, slope: options.slope, seed: options.seed)
    head = options.optimizer(gradients.layout, gradients.layout.headIndices)
    if options.lambda == nil {
      // Somewhat more gates than are wanted stay open, so that the largest can be chosen.
      controller = DensityController(
        target: min(1, 1.5 * options.density), elements: gates.count, steps: steps,
        start: options.start, landing: options.landing)
    }
  }

  func prepare(step: Int) {
    if drawn != step { gates.sample(step: step) }
    drawn = step
    differences = nil
  }

  func settle() {
    differences = gates.settle()
    drawn = nil
  }

  func update(step: Int, rate: Double) -> LearnerFacts {
    let lambda = controller?.lambda ?? options.lambda ?? 0
    let found = gates.measure(step: step, lambda: lambda)
    // Led gates must be able to follow until they have landed.
    let gateRate = controller == nil ? rate : min(1, rate / (1 - options.landing))
    func gateStep(_ learningRate: Double) -> AdamStep {
      options.adam(
        gateRate * learningRate, step: step, scale: options.clipping(found.gateNorm))
    }
    gates.update(
      step: step,
      weights: options.adam(
        rate * options.learningRate, step: step, scale: options.clipping(found.weightNorm)),
      gates: gateStep(options.gateLearningRate), shared: gateStep(options.groupLearningRate))
    head.step(values, gradients, rate: Float(rate * options.headLearningRate))
    drawn = step + 1
    controller?.update(step: step, found: found)
    return LearnerFacts(norm: found.weightNorm.squareRoot(), lambda: lambda, gates: found)
  }

  func save(to state: StateWriter) throws(DiffError) {
    try gates.save(to: state)
    try head.save(to: state, gradients.layout)
    try state.putHead(values, gradients.layout)
    try state.put(
      controller?.state ?? [Double](repeating: 0, count: DensityController.stateCount))
  }

  func restore(from state: StateReader) throws(DiffError) {
    try gates.restore(from: state)
    try head.restore(from: state, gradients.layout)
    try state.takeHead(values, gradients.layout)
    controller?.state = try state.takeDoubles(DensityController.stateCount)
    drawn = nil
  }
}

extension ParameterLayout {
  /// The places of the head's parameters, and of the others.
  var headIndices: [Int] { parameters.indices.filter { parameters[$0].isHead } }
  var bodyIndices: [Int] { parameters.indices.filter { !parameters[$0].isHead } }
}
