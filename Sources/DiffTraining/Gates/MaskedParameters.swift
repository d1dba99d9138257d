import Kernels
import SystemSupport

/// Differences from a base at fixed positions, which alone learn: memory and time of the
/// optimizer grow with the positions, not with the model.
final class MaskedParameters {
  /// Where the differences are in the flat buffers, ascending.
  let positions: [Int]
  /// The differences, in the order of the positions.
  let differences: FloatBuffer
  private let base: FloatBuffer
  private let gathered: FloatBuffer
  let means, squares: FloatBuffer
  private let values: FloatBuffer

  /// - Parameters:
  ///   - positions: Ascending.
  ///   - values: The values of the base, but at `positions`; from now on base + differences.
  ///   - base: The base.
  ///   - differences: What to start from: a buffer of the model's layout, or nil for zeros.
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

  /// Makes the model's values base + differences.
  func store() {
    values.scatter(base, plus: differences, to: positions)
  }

  /// The squared norm of the gradients at the positions, which `update` will use.
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
  /// Takes over values from places of another buffer.
  fileprivate func gather(_ other: FloatBuffer, at positions: [Int]) {
    let from = other.span
    var to = mutableSpan
    for (index, position) in positions.enumerated() { to[index] = from[position] }
  }

  /// Stores sums at places.
  fileprivate func scatter(_ one: FloatBuffer, plus other: FloatBuffer, to positions: [Int]) {
    let (one, other) = (one.span, other.span)
    var to = mutableSpan
    for (index, position) in positions.enumerated() { to[position] = one[index] + other[index] }
  }
}
