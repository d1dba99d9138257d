import CKernels
import Kernels

extension Kernels {
  /// Multiplies a part of a buffer.
  package static func scale(_ values: FloatBuffer, _ range: Range<Int>, by factor: Float) {
    check(range, values)
    unsafe dk_scale(values.pointer(at: range.lowerBound), range.count, factor)
  }

  /// The numbers of a step of AdamW that are the same for every parameter.
  package struct AdamWStep: Sendable {
    fileprivate let numbers: dk_adamw_step

    /// - Parameters:
    ///   - step: Counted from 1.
    ///   - scale: What gradients are multiplied by first.
    package init(
      step: Int, rate: Double, beta1: Double, beta2: Double, epsilon: Double, decay: Double,
      scale: Double
    ) {
      numbers = dk_adamw_step(
        scale: Float(scale), weight1: Float(1 - beta1), beta2: Float(beta2),
        weight2: Float(1 - beta2), unbias: Float(1 / (1 - power(beta2, step)).squareRoot()),
        epsilon: Float(epsilon), rate: Float(rate / (1 - power(beta1, step))),
        keep: Float(1 - rate * decay))
    }
  }

  /// A step of AdamW on a part of the parameters.
  package static func adamW(
    _ values: FloatBuffer, _ gradients: FloatBuffer, first: FloatBuffer, second: FloatBuffer,
    _ range: Range<Int>, _ step: AdamWStep
  ) {
    for buffer in [values, gradients, first, second] { check(range, buffer) }
    let start = range.lowerBound
    unsafe withUnsafePointer(to: step.numbers) {
      unsafe dk_adamw(
        values.pointer(at: start), gradients.pointer(at: start), first.pointer(at: start),
        second.pointer(at: start), range.count, $0)
    }
  }

  private static func check(_ range: Range<Int>, _ buffer: FloatBuffer) {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count)
  }
}

/// `base` to the power of a number that is not negative, by squaring.
package func power(_ base: Double, _ exponent: Int) -> Double {
  var (result, base, exponent) = (1.0, base, exponent)
  while exponent > 0 {
    if exponent & 1 == 1 { result *= base }
    base *= base
    exponent >>= 1
  }
  return result
}
