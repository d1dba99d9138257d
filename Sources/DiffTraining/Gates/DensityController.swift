#if Training
  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #elseif canImport(Darwin)
    import Darwin
  #endif

  /// Finds the price of an open gate that brings the gates to a density by the end of their
  /// training: what is right depends on the model and on the number of steps, so λ is led by what
  /// it does.
  ///
  /// The density wanted falls from 1 geometrically, and reaches the target after the share
  /// `landing` of the steps. λ is multiplied after each step by (found / wanted)^0.2, at most by
  /// e^0.1 and at least by e^-0.2: down faster than up, since gates that have closed hardly open
  /// again.
  public struct DensityController: Sendable, Hashable {
    /// The density to end with.
    public let target: Double
    /// The price of an open gate.
    public internal(set) var lambda: Double
    private let steps: Int
    private let landing: Double

    /// - Parameters:
    ///   - target: The density to end with, above 0.
    ///   - steps: How many there will be.
    ///   - lambda: The first price.
    public init(target: Double, steps: Int, lambda: Double = 1e-6, landing: Double = 0.6) {
      self.target = target
      self.steps = steps
      self.lambda = lambda
      self.landing = landing
    }

    /// The density that is wanted at a step.
    public func wanted(at step: Int) -> Double {
      let progress = min(1, Double(step) / max(1, landing * Double(steps)))
      return pow(target, progress)
    }

    /// Sets λ for the next step.
    ///
    /// - Parameter density: The expected density of the gates at a step.
    public mutating func update(step: Int, density: Double) {
      let excess = log(max(density, 1e-12) / wanted(at: step))
      let change = min(0.1, max(-0.2, 0.2 * excess))
      lambda = min(Self.most, max(Self.least, lambda * exp(change)))
    }

    private static let least = 1e-12
    private static let most = 1.0
  }
#endif
