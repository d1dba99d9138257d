import Kernels
import TensorCore

/// A learner that sums squared gradients and changes no values.
final class FisherLearner: Learner {
  private let gradients: Gradients
  let sums: FloatBuffer

  init(_ gradients: Gradients) {
    self.gradients = gradients
    sums = FloatBuffer(count: gradients.layout.count)
  }

  var reads: GradientSelection { .parameters(gradients.layout.bodyIndices) }

  func prepare(step: Int) {}
  func settle() {}

  func update(step: Int, rate: Double) -> LearnerFacts {
    let ranges = gradients.layout.bodyIndices.flatMap { gradients.ranges(of: $0) }
    let (sums, values) = (sums, gradients.values)
    RangeTasks(ranges).forEach { Kernels.addSquares(sums, values, $0) }
    return LearnerFacts(norm: 0)
  }

  func save(to state: StateWriter) throws(DiffError) { try state.put(sums) }
  func restore(from state: StateReader) throws(DiffError) { try state.take(sums) }
}
