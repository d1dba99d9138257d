import CKernels
import Kernels

extension Kernels {
  /// Returns the gate at a location for the random number `u`, and its derivative with respect to
  /// the location: that of the gate as drawn, or of its expectation.
  package static func gate(
    _ location: Float, chance u: Float, expected: Bool = false
  ) -> (z: Float, slope: Float) {
    var slope: Float = 0
    let z = unsafe dk_gate(u, location, expected ? 1 : 0, &slope)
    return (z, slope)
  }

  /// Draws the gates of a range and calculates its values.
  ///
  /// - Parameter group: The z of the group: one value, or one for each element.
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

  /// Adds sums over a range to `sums`, from element `offset` on: the squared norm of the weights'
  /// gradient, that of the gates', then for the group, or for each element's group: the gradient of
  /// its gate, Σ probability of being open, Σ its square, the number of gates open when settled.
  ///
  /// - Parameter penalty: λ · the probability that the group is open, for each of `group`.
  package static func measureGates(
    _ buffers: GateBuffers, _ range: Range<Int>, _ draw: GateDraw, group: Span<Float>,
    penalty: Span<Float>, expected: Bool, into sums: FloatBuffer, at offset: Int
  ) {
    precondition(group.count == 1 || group.count == range.count)
    precondition(penalty.count == group.count && offset + 2 + 4 * group.count <= sums.count)
    var run = unsafe buffers.run(range)
    unsafe group.withUnsafeBufferPointer { group in
      unsafe penalty.withUnsafeBufferPointer { penalty in
        guard let z = group.baseAddress, let cost = penalty.baseAddress else { return }
        unsafe dk_gate_measure(
          &run, range.count, draw.keys(at: range.lowerBound), z, cost, group.count > 1 ? 1 : 0,
          expected ? 1 : 0, sums.pointer(at: offset))
      }
    }
  }

  /// Takes a step of the weights and gates of a range, and calculates the values of the next draw.
  package static func updateGates(
    _ buffers: GateBuffers, _ range: Range<Int>, _ draw: GateDraw, group: Span<Float>,
    penalty: Span<Float>, expected: Bool, weights: AdamStep, gates: AdamStep,
    next: GateDraw, nextGroup: Span<Float>
  ) {
    precondition(group.count == 1 || group.count == range.count)
    precondition(penalty.count == group.count && nextGroup.count == group.count)
    var run = unsafe buffers.run(range)
    var (weights, gates) = (weights.numbers, gates.numbers)
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

  /// Writes the differences from the base, and the values, with gates that are not random.
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
}
