import CKernels
import Kernels
import TensorCore

/// The flat buffers of gated parameters: value = base + z · (group's z) · weight, where z is drawn
/// from a hard-concrete distribution whose location stands in `gates`.
package struct GateBuffers: Sendable {
  package var base, gradients, values: FloatBuffer
  package var weights, weightMeans, weightSquares: FloatBuffer
  package var gates, gateMeans, gateSquares: FloatBuffer

  package init(base: FloatBuffer, gradients: FloatBuffer, values: FloatBuffer) {
    self.base = base
    self.gradients = gradients
    self.values = values
    func zeros() -> FloatBuffer { FloatBuffer(count: values.count) }
    (weights, weightMeans, weightSquares) = (zeros(), zeros(), zeros())
    (gates, gateMeans, gateSquares) = (zeros(), zeros(), zeros())
  }

  fileprivate func run(_ range: Range<Int>) -> dk_gated {
    let at = range.lowerBound
    precondition([base, gradients, values, weights].allSatisfy { range.upperBound <= $0.count })
    return unsafe dk_gated(
      base: base.pointer(at: at), gradient: gradients.pointer(at: at),
      value: values.pointer(at: at), weight: weights.pointer(at: at),
      weight_first: weightMeans.pointer(at: at), weight_second: weightSquares.pointer(at: at),
      gate: gates.pointer(at: at), gate_first: gateMeans.pointer(at: at),
      gate_second: gateSquares.pointer(at: at), position: UInt32(truncatingIfNeeded: at))
  }
}

/// One of all draws of chance: numbers of 0 ..< 1 as a function of the position, and of what the
/// draw was made from.
package struct GateDraw: Sendable, Hashable {
  private var keys: dk_draw { dk_draw(low: low, high: high) }
  private let low, high: UInt32

  /// The draw of a step of a run. Different streams are independent.
  package init(seed: UInt64, step: UInt64, stream: UInt64) {
    var mixer = SplitMix64(seed: seed)
    mixer = SplitMix64(seed: mixer.next() &+ step)
    mixer = SplitMix64(seed: mixer.next() &+ stream)
    let key = mixer.next()
    (low, high) = (UInt32(truncatingIfNeeded: key), UInt32(key >> 32))
  }

  /// The number of a position.
  package subscript(position: UInt32) -> Float { dk_uniform(keys, position) }

  /// The keys for a run; where positions exceed 32 bits, the upper ones change the key.
  fileprivate func keys(at position: Int) -> dk_draw {
    dk_draw(low: low, high: high &+ UInt32(truncatingIfNeeded: position >> 32) &* 0x9E37_79B9)
  }
}

/// A step of Adam (Kingma, Ba 2015), as PyTorch counts it: corrected for the bias of moments that
/// began as zeros, ε beside the corrected root.
public struct AdamStep: Sendable, Hashable {
  fileprivate var constants: dk_adam {
    dk_adam(
      rate: rate, unbias: unbias, beta1: Self.beta1, beta2: Self.beta2, epsilon: epsilon,
      scale: scale)
  }
  /// The same for parameters without gates, where nothing decays.
  fileprivate var plain: dk_adamw_step {
    dk_adamw_step(
      scale: scale, weight1: 1 - Self.beta1, beta2: Self.beta2, weight2: 1 - Self.beta2,
      unbias: unbias, epsilon: epsilon, rate: rate, keep: 1)
  }
  private static let beta1: Float = 0.9
  private static let beta2: Float = 0.999
  private let rate, unbias, epsilon, scale: Float

  /// A step of a learning rate, with β of 0.9 and 0.999.
  ///
  /// - Parameters:
  ///   - number: Counts the steps, from 1.
  ///   - scale: Gradients are multiplied by it first: clipping.
  public init(learningRate: Double, number: Int, epsilon: Double = 1e-8, scale: Double = 1) {
    func power(_ base: Float) -> Double {
      var (result, square, rest) = (1.0, Double(base), number)
      while rest > 0 {
        if rest & 1 == 1 { result *= square }
        square *= square
        rest >>= 1
      }
      return result
    }
    rate = Float(learningRate / (1 - power(Self.beta1)))
    unbias = Float(1 / (1 - power(Self.beta2)).squareRoot())
    self.epsilon = Float(epsilon)
    self.scale = Float(scale)
  }

  /// Takes the step with a single number.
  package func apply(
    _ value: inout Float, _ gradient: Float, _ mean: inout Float, _ square: inout Float
  ) {
    var gradient = gradient
    var step = plain
    unsafe dk_adamw(&value, &gradient, &mean, &square, 1, &step)
  }
}

extension Kernels {
  /// The gate of a location, where chance is `u`, and its derivative by the location: of the gate
  /// as drawn, or of its expectation.
  package static func gate(
    _ location: Float, chance u: Float, expected: Bool = false
  ) -> (z: Float, slope: Float) {
    var slope: Float = 0
    let z = unsafe dk_gate(u, location, expected ? 1 : 0, &slope)
    return (z, slope)
  }

  /// Draws the gates of a range and makes its values.
  ///
  /// - Parameter group: The group's z: one, or one for each element.
  package static func sampleGates(
    _ buffers: GateBuffers, _ range: Range<Int>, _ draw: GateDraw, group: Span<Float>
  ) {
    precondition(group.count == 1 || group.count == range.count)
    var run = unsafe buffers.run(range)
    unsafe group.withUnsafeBufferPointer { group in
      guard let z = group.baseAddress else { return }
      unsafe dk_gate_sample(
        &run, range.count, draw.keys(at: range.lowerBound), z, group.count > 1 ? 1 : 0)
    }
  }

  /// Adds to `sums`, from its element `at` on, what the gradients of a range mean: the squared norm
  /// of the weights' gradient, that of the gates', then for the group, or for each element's
  /// group: its gate's gradient, Σ chance to be open, Σ its square, gates open without chance.
  ///
  /// - Parameter penalty: λ · the chance of the group to be open, for each of `group`.
  package static func measureGates(
    _ buffers: GateBuffers, _ range: Range<Int>, _ draw: GateDraw, group: Span<Float>,
    penalty: Span<Float>, expected: Bool, into sums: FloatBuffer, at place: Int
  ) {
    precondition(group.count == 1 || group.count == range.count)
    precondition(penalty.count == group.count && place + 2 + 4 * group.count <= sums.count)
    var run = unsafe buffers.run(range)
    unsafe group.withUnsafeBufferPointer { group in
      unsafe penalty.withUnsafeBufferPointer { penalty in
        guard let z = group.baseAddress, let cost = penalty.baseAddress else { return }
        unsafe dk_gate_measure(
          &run, range.count, draw.keys(at: range.lowerBound), z, cost, group.count > 1 ? 1 : 0,
          expected ? 1 : 0, sums.pointer(at: place))
      }
    }
  }

  /// A step of the weights and gates of a range, and the values of the next draw.
  package static func updateGates(
    _ buffers: GateBuffers, _ range: Range<Int>, _ draw: GateDraw, group: Span<Float>,
    penalty: Span<Float>, expected: Bool, weights: AdamStep, gates: AdamStep,
    next: GateDraw, nextGroup: Span<Float>
  ) {
    precondition(group.count == 1 || group.count == range.count)
    precondition(penalty.count == group.count && nextGroup.count == group.count)
    var run = unsafe buffers.run(range)
    var (weights, gates) = (weights.constants, gates.constants)
    unsafe group.withUnsafeBufferPointer { group in
      unsafe penalty.withUnsafeBufferPointer { penalty in
        unsafe nextGroup.withUnsafeBufferPointer { nextGroup in
          guard let z = group.baseAddress, let cost = penalty.baseAddress,
            let nextZ = nextGroup.baseAddress
          else { return }
          unsafe dk_gate_update(
            &run, range.count, draw.keys(at: range.lowerBound), z, cost,
            next.keys(at: range.lowerBound), nextZ, group.count > 1 ? 1 : 0,
            expected ? 1 : 0, &weights, &gates)
        }
      }
    }
  }

  /// The differences from the base, and the values, with gates that chance is left out of.
  package static func settleGates(
    _ buffers: GateBuffers, _ range: Range<Int>, group: Span<Float>, differences: FloatBuffer
  ) {
    precondition(group.count == 1 || group.count == range.count)
    precondition(range.upperBound <= differences.count)
    var run = unsafe buffers.run(range)
    unsafe group.withUnsafeBufferPointer { group in
      guard let z = group.baseAddress else { return }
      unsafe dk_gate_settle(
        &run, range.count, z, group.count > 1 ? 1 : 0, differences.pointer(at: range.lowerBound))
    }
  }

  /// A step of Adam with the values, gradients and moments of `range`.
  package static func adamStep(
    _ values: FloatBuffer, _ gradients: FloatBuffer, _ means: FloatBuffer, _ squares: FloatBuffer,
    _ range: Range<Int>, _ step: AdamStep
  ) {
    precondition(
      [values, gradients, means, squares].allSatisfy { range.upperBound <= $0.count })
    var step = step.plain
    let at = range.lowerBound
    unsafe dk_adamw(
      values.pointer(at: at), gradients.pointer(at: at), means.pointer(at: at),
      squares.pointer(at: at), range.count, &step)
  }

  /// The sum of the squares of a range.
  package static func squaredNorm(_ values: FloatBuffer, _ range: Range<Int>) -> Double {
    precondition(range.upperBound <= values.count)
    return unsafe dk_squared_norm(values.pointer(at: range.lowerBound), range.count)
  }

  /// Adds the squares of a range of `values` to `sums`.
  package static func addSquares(_ sums: FloatBuffer, _ values: FloatBuffer, _ range: Range<Int>) {
    precondition(range.upperBound <= min(sums.count, values.count))
    unsafe dk_add_squares(
      sums.pointer(at: range.lowerBound), values.pointer(at: range.lowerBound), range.count)
  }
}
