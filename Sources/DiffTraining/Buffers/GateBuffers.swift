import CKernels

/// The flat buffers of gated parameters: value = base + z · (group's z) · weight, where z is drawn
/// from a hard-concrete distribution whose location parameter is in `gates`.
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

  /// Returns a range of all buffers, for C.
  func run(_ range: Range<Int>) -> dk_gated {
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
