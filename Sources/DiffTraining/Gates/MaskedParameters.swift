import Kernels
import SystemSupport

/// Trained differences from a base at fixed positions: memory and time of the optimizer grow with
/// the number of positions, not with the model.
final class MaskedParameters {
  /// The positions of the differences in the flat buffers, ascending.
  let positions: [Int]
  /// The differences, in the order of the positions.
  let differences: FloatBuffer
  private let base: FloatBuffer
  private let gathered: FloatBuffer
  let means, squares: FloatBuffer
  private let values: FloatBuffer

  /// Creates the differences and stores the values.
  ///
  /// - Parameters:
  ///   - positions: The positions, ascending.
  ///   - values: The values of the base, except at `positions`; from now on base + differences.
  ///   - base: The base.
  ///   - start: The initial differences, a buffer of the model's layout; nil for zeros.
  init(
    _ positions: [Int], _ values: FloatBuffer, base: FloatBuffer, from start: FloatBuffer? = nil
  ) {
    self.positions = positions
    self.values = values
    func zeros() -> FloatBuffer { FloatBuffer(count: positions.count) }
    (differences, self.base, gathered) = (zeros(), zeros(), zeros())
    (means, squares) = (zeros(), zeros())
    self.base.gather(base, at: positions)
    if let start { differences.gather(start, at: positions) }
    store()
  }

  /// Sets the model's values to base + differences.
  func store() {
    values.scatter(base, plus: differences, to: positions)
  }

  /// Returns the squared norm of the gradients at the positions, which `update` will use.
  func measure(_ gradients: FloatBuffer) -> Double {
    gathered.gather(gradients, at: positions)
    return Kernels.squaredNorm(gathered, 0..<positions.count)
  }

  /// Takes a step with the gradients that were measured.
  func update(_ step: AdamStep) {
    let count = positions.count
    parallelFor((count + GateRun.room - 1) / GateRun.room) {
      [differences, gathered, means, squares] in
      let range = $0 * GateRun.room..<min(count, ($0 + 1) * GateRun.room)
      Kernels.withoutSubnormals {
        Kernels.adam(
          differences, gradients: gathered, means: means, squares: squares, range, step)
      }
    }
    store()
  }
}

extension FloatBuffer {
  /// Copies the values at some positions of another buffer.
  fileprivate func gather(_ other: FloatBuffer, at positions: [Int]) {
    let from = other.span
    var to = mutableSpan
    for (index, position) in positions.enumerated() { to[index] = from[position] }
  }

  /// Stores sums at some positions.
  fileprivate func scatter(_ one: FloatBuffer, plus other: FloatBuffer, to positions: [Int]) {
    let (one, other) = (one.span, other.span)
    var to = mutableSpan
    for (index, position) in positions.enumerated() { to[position] = one[index] + other[index] }
  }
}
