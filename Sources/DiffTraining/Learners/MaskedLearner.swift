import TensorCore

/// A learner that trains the positions of a mask, and the head.
final class MaskedLearner: Learner {
  private let options: TrainingOptions
  let mask: MaskedParameters
  private let head: AdamW
  private let values: FloatBuffer
  private let gradients: Gradients
  private let shares: [TrainingProgress.ParameterShare]

  init(
    _ mask: MaskedParameters, of values: FloatBuffer, _ gradients: Gradients,
    _ options: TrainingOptions
  ) {
    self.options = options
    self.mask = mask
    self.values = values
    self.gradients = gradients
    head = options.optimizer(gradients.layout, gradients.layout.headIndices)
    let counts = gradients.layout.counts(of: mask.positions)
    shares = gradients.layout.parameters.filter { !$0.isHead }.map { parameter in
      var share = TrainingProgress.ParameterShare(parameter)
      share.kept = counts[parameter.index]
      return share
    }
  }

  var reads: GradientSelection {
    .positions(mask.positions, with: gradients.layout.headIndices)
  }

  func prepare(step: Int) {}
  func settle() {}

  func update(step: Int, rate: Double) -> LearnerFacts {
    let norm = mask.measure(gradients.values)
    mask.update(
      options.adam(
        rate * options.usedFixedLearningRate, step: step, scale: options.clipping(norm)))
    head.step(values, gradients, rate: Float(rate * options.headLearningRate))
    return LearnerFacts(norm: norm.squareRoot(), shares: shares)
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
