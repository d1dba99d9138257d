import Platform

/// A controller of λ, the penalty of an open gate, that brings the gates to a density by the end of
/// their training. The right λ depends on the model and on the number of steps, so it is adjusted
/// by its effect.
///
/// For the share `start` of the steps gates cost nothing, and weights are trained freely. Then the
/// log-odds of an open gate are to fall in a straight line, to those of the target after the share
/// `landing`. Log-odds, since a gate's location moves by equal steps under Adam, which has little
/// effect on the density while gates are almost surely open or closed. λ begins at the size of the
/// gates' gradients, so that neither dominates the other, and is multiplied after each step by a
/// function of the difference between predicted and intended log-odds.
public struct DensityController: Sendable, Hashable {
  /// The density to end with.
  public let target: Double
  /// The penalty of an open gate.
  public private(set) var lambda = 0.0
  private let elements, steps: Int
  private let start, landing: Double
  /// The change of the log-odds in a step, and the size of a gate's gradient: means over some
  /// steps.
  private var trend = 0.0, noise = 0.0
  /// The log-odds of the last step, and at the start of the fall.
  private var last = 0.0, first = 0.0

  /// Creates a controller.
  ///
  /// - Parameters:
  ///   - target: The density to end with, above 0.
  ///   - elements: The number of elements of the model without the head.
  ///   - steps: The number of steps.
  ///   - start: The share of the steps in which gates cost nothing.
  ///   - landing: The share of the steps after which the density is to be `target`.
  public init(
    target: Double, elements: Int, steps: Int, start: Double = 0.2, landing: Double = 0.8
  ) {
    self.target = target
    self.elements = elements
    self.steps = steps
    self.start = start
    self.landing = landing
  }

  /// Returns the share of the fall that is to be complete at a step.
  private func progress(_ step: Double) -> Double {
    let (begin, end) = (start * Double(steps), landing * Double(steps))
    return min(1, max(0, (step - begin) / max(1, end - begin)))
  }

  /// Sets λ for the next step from the measurements of `step`, which is counted from 0.
  public mutating func update(step: Int, found: GatedParameters.Measure) {
    let seen = max(found.seenDensity, 1e-12)
    let odds = Self.logOdds(found.twiceOpenDensity / seen)
    let size = (found.gateNorm / (seen * Double(max(1, elements)))).squareRoot()
    if step == 0 { (first, last, noise) = (odds, odds, size) }
    trend += Self.memory * (odds - last - trend)
    noise += Self.memory * (size - noise)
    last = odds
    guard Double(step) >= start * Double(steps) else { return first = odds }
    if lambda == 0 { lambda = noise }
    let (now, end) = (Double(step) + Self.foresight, Self.logOdds(target / seen))
    let wanted = first + (end - first) * progress(now)
    let excess = odds + Self.foresight * trend - wanted
    lambda *= exp(min(0.3, max(-0.5, 0.1 * excess)))
  }

  private static func logOdds(_ share: Double) -> Double {
    let share = min(1 - 1e-9, max(1e-9, share))
    return log(share / (1 - share))
  }

  /// The numbers that the next λ depends on.
  var state: [Double] {
    get { [lambda, trend, noise, last, first] }
    set {
      (lambda, trend, noise) = (newValue[0], newValue[1], newValue[2])
      (last, first) = (newValue[3], newValue[4])
    }
  }

  /// The number of elements of `state`.
  static let stateCount = 5

  private static let memory = 0.2
  private static let foresight = 40.0
}
