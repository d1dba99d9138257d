/// A search for weights, and perhaps densities, that make a score large, without derivatives: first
/// one weight for all, then steps along one number at a time, halved where none of them helps
/// (Hooke, Jeeves 1961).
struct WeightSearch {
  /// A weight and a density for each diff.
  struct Point: Hashable {
    var weights, densities: [Double]
  }

  /// A point, and the score that it was found to have.
  struct Step {
    let point: Point
    let score: Double
  }

  /// Everything that was tried, in order.
  private(set) var trace: [Step] = []
  /// The best with one weight for all, and the best of all; of equals the first.
  private(set) var uniform, best: Step

  /// The least density that is tried.
  private static let leastDensity = 0.05

  /// Tries at most `budget` points, at least the ten of the first part.
  ///
  /// - Parameter withDensities: whether densities are searched too; else all are 1.
  init(
    count: Int, withDensities: Bool, budget: Int, _ score: (Point) throws -> Double
  ) throws {
    var tried: [Point: Step] = [:]
    var trace: [Step] = []
    func measure(_ point: Point) throws -> Step {
      if let known = tried[point] { return known }
      let step = Step(point: point, score: try score(point))
      tried[point] = step
      trace.append(step)
      return step
    }
    func uniform(_ weight: Double) -> Point {
      Point(
        weights: [Double](repeating: weight, count: count),
        densities: [Double](repeating: 1, count: count))
    }
    var best = try measure(uniform(1))
    for tenths in 1...9 {
      let step = try measure(uniform(Double(tenths) / 10))
      if step.score > best.score { best = step }
    }
    self.uniform = best
    let weights = count > 1 ? (0..<count).map { \Point.weights[$0] } : []
    let densities = withDensities ? (0..<count).map { \Point.densities[$0] } : []
    let numbers: [WritableKeyPath<Point, Double>] = weights + densities
    var width = 0.4
    while width > 0.04 && !numbers.isEmpty {
      var improved = false
      for (index, number) in numbers.enumerated() {
        for sign in [1.0, -1] where trace.count < budget {
          var point = best.point
          // On a grid, so that the same numbers are recognized.
          let moved = ((point[keyPath: number] + sign * width) * 100).rounded() / 100
          point[keyPath: number] =
            index < weights.count ? moved : min(1, max(Self.leastDensity, moved))
          let step = try measure(point)
          if step.score > best.score { (best, improved) = (step, true) }
        }
      }
      guard trace.count < budget else { break }
      if !improved { width /= 2 }
    }
    self.best = best
    self.trace = trace
  }
}
