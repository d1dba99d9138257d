import TensorCore

/// A learner that trains the weights under gates, the gates, and the head.
final class GatedLearner: Learner {
  private let options: TrainingOptions
  let gates: GatedParameters
  private let head: AdamW
  private let values: FloatBuffer
  private let gradients: Gradients
  let reads: GradientSelection
  private var controller: DensityController?
  /// The step whose draw the values have.
  private var drawn: Int?
  /// The differences that `settle` found.
  private(set) var differences: FloatBuffer?

  init(
    _ values: FloatBuffer, _ gradients: Gradients, _ options: TrainingOptions,
    learning: [Int], steps: Int
  ) {
    self.options = options
    reads = .parameters(learning)
    self.values = values
    self.gradients = gradients
    gates = GatedParameters(
      gradients.layout, values, gradients, of: learning,
      grouping: options.method == .structured ? options.grouping : .none,
      penalty: options.penalty, slope: options.slope, seed: options.seed)
    head = options.optimizer(gradients.layout, gradients.layout.headIndices)
    if options.lambda == nil {
      // Somewhat more gates than required stay open, so that the largest can be chosen.
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
    // Gates must be able to follow the controller until they are at the target.
    let gateRate = controller == nil ? rate : min(1, rate / (1 - options.landing))
    func gateStep(_ learningRate: Double) -> AdamStep {
      options.adam(
        gateRate * learningRate, step: step, scale: options.clipping(found.gateNorm))
    }
    gates.update(
      step: step,
      weights: options.adam(
        rate * options.usedLearningRate, step: step, scale: options.clipping(found.weightNorm)),
      gates: gateStep(options.gateLearningRate), shared: gateStep(options.groupLearningRate))
    head.step(values, gradients, rate: Float(rate * options.headLearningRate))
    drawn = step + 1
    controller?.update(step: step, found: found)
    let shares = gradients.layout.parameters.filter { !$0.isHead }.map { parameter in
      var share = TrainingProgress.ParameterShare(parameter)
      share.expected = found.expected[parameter.index]
      share.open = found.open[parameter.index]
      return share
    }
    return LearnerFacts(
      norm: found.weightNorm.squareRoot(), lambda: lambda, gates: found, shares: shares)
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
