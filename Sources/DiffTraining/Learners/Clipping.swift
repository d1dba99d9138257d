import Kernels

/// Keeps the gradients of a group of parameters from being too long together.
public struct Clipping: Sendable, Hashable {
  /// How long they may be, as one vector; nil: any length.
  public var limit: Float?

  /// At most `limit`.
  public init(limit: Float?) { self.limit = limit }

  /// What gradients of a length are multiplied by, as in PyTorch's `clip_grad_norm_`.
  public func scale(norm: Double) -> Double {
    guard let limit else { return 1 }
    return min(1, Double(limit) / (norm + 1e-6))
  }
}

extension Gradients {
  /// The length of the gradients of some parameters as one vector; the same for any number of
  /// threads. One pass over what is not zero.
  ///
  /// - Parameter parameters: Places in `layout.parameters`.
  public func norm(of parameters: some Sequence<Int>) -> Double {
    let values = values
    return RangeTasks(parameters.flatMap { ranges(of: $0) })
      .sum { Kernels.squaredNorm(values, $0) }.squareRoot()
  }
}
