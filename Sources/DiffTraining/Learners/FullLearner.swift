import TensorCore

/// A learner that trains some parameters as a whole, and the head.
final class FullLearner: Learner {
  private let options: TrainingOptions
  private let body, head: AdamW
  private let values: FloatBuffer
  private let gradients: Gradients
  let reads: GradientSelection

  init(
    _ values: FloatBuffer, _ gradients: Gradients, _ options: TrainingOptions,
    learning: [Int]
  ) {
    self.options = options
    reads = .parameters(learning)
    self.values = values
    self.gradients = gradients
    let layout = gradients.layout
    body = options.optimizer(layout, learning.filter { !layout.parameters[$0].isHead })
    head = options.optimizer(layout, layout.headIndices)
  }

  func prepare(step: Int) {}
  func settle() {}

  func update(step: Int, rate: Double) -> LearnerFacts {
    let norm = body.step(values, gradients, rate: Float(rate * options.usedLearningRate))
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
