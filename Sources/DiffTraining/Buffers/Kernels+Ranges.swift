import CKernels
import Kernels

// Loops over a range of flat buffers.
extension Kernels {
  /// Takes a step of Adam for a range.
  package static func adam(
    _ values: FloatBuffer, gradients: FloatBuffer, means: FloatBuffer, squares: FloatBuffer,
    _ range: Range<Int>, _ step: AdamStep
  ) {
    for buffer in [values, gradients, means, squares] { check(range, buffer) }
    let start = range.lowerBound
    unsafe withUnsafePointer(to: step.numbers) {
      unsafe dk_adamw(
        values.pointer(at: start), gradients.pointer(at: start), means.pointer(at: start),
        squares.pointer(at: start), range.count, $0)
    }
  }

  /// Multiplies a range by a factor.
  package static func scale(_ values: FloatBuffer, _ range: Range<Int>, by factor: Float) {
    check(range, values)
    unsafe dk_scale(values.pointer(at: range.lowerBound), range.count, factor)
  }

  /// Returns the sum of the squares of a range.
  package static func squaredNorm(_ values: FloatBuffer, _ range: Range<Int>) -> Double {
    check(range, values)
    return unsafe dk_squared_norm(values.pointer(at: range.lowerBound), range.count)
  }

  /// Adds the squares of `values` to `sums`.
  package static func addSquares(_ sums: FloatBuffer, _ values: FloatBuffer, _ range: Range<Int>) {
    check(range, sums)
    check(range, values)
    unsafe dk_add_squares(
      sums.pointer(at: range.lowerBound), values.pointer(at: range.lowerBound), range.count)
  }

  private static func check(_ range: Range<Int>, _ buffer: FloatBuffer) {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count)
  }
}
