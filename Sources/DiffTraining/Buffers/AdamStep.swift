import CKernels

/// A step of Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter 2019), as
/// PyTorch calculates it: corrected for the bias of moments that start at zero, with ε added to the
/// corrected root. The numbers are the same for every parameter.
public struct AdamStep: Sendable {
  let numbers: dk_adam

  /// Creates a step.
  ///
  /// - Parameters:
  ///   - learningRate: The learning rate.
  ///   - number: The number of the step, counted from 1.
  ///   - beta1: The decay rate of the mean of the gradients; by default 0.9 as a float32.
  ///   - beta2: The decay rate of the mean of their squares; by default 0.999 as a float32.
  ///   - epsilon: Added to the corrected root, so that the quotient is finite.
  ///   - decay: The weight decay, which is multiplied by the learning rate; 0 for gates.
  ///   - scale: A factor of the gradients, for clipping.
  public init(
    learningRate: Double, number: Int, beta1: Double = Double(0.9 as Float),
    beta2: Double = Double(0.999 as Float), epsilon: Double = 1e-8, decay: Double = 0,
    scale: Double = 1
  ) {
    numbers = dk_adam(
      scale: Float(scale), weight1: Float(1 - beta1), beta2: Float(beta2),
      weight2: Float(1 - beta2), unbias: Float(1 / (1 - power(beta2, number)).squareRoot()),
      epsilon: Float(epsilon), rate: Float(learningRate / (1 - power(beta1, number))),
      keep: Float(1 - learningRate * decay))
  }

  /// Applies the step to a single number.
  package func apply(
    _ value: inout Float, gradient: Float, mean: inout Float, square: inout Float
  ) {
    var (gradient, step) = (gradient, numbers)
    unsafe dk_adamw(&value, &gradient, &mean, &square, 1, &step)
  }
}

/// Returns `base` to the power of a nonnegative number, by squaring.
package func power(_ base: Double, _ exponent: Int) -> Double {
  var (result, base, exponent) = (1.0, base, exponent)
  while exponent > 0 {
    if exponent & 1 == 1 { result *= base }
    base *= base
    exponent >>= 1
  }
  return result
}
