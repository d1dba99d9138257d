import Kernels

/// A limit for the norm of the gradients of a group of parameters.
public struct Clipping: Sendable, Hashable {
  /// The maximum norm of the gradients as one vector; nil for no limit.
  public var limit: Float?

  /// Creates a limit.
  public init(limit: Float?) { self.limit = limit }

  /// Returns the factor of gradients of a norm, as in PyTorch's `clip_grad_norm_`.
  public func scale(norm: Double) -> Double {
    guard let limit else { return 1 }
    return min(1, Double(limit) / (norm + 1e-6))
  }
}

extension Gradients {
  /// Returns the norm of the gradients of some parameters as one vector; the same for any number of
  /// threads. One pass over ranges that are not zero.
  ///
  /// - Parameter parameters: Indices in `layout.parameters`.
  public func norm(of parameters: some Sequence<Int>) -> Double {
    let values = values
    return RangeTasks(parameters.flatMap { ranges(of: $0) })
      .sum { Kernels.squaredNorm(values, $0) }.squareRoot()
  }
}
