/// A search for weights, and perhaps densities, that make a score large, without derivatives: first
/// one weight for all, then steps along one number at a time, halved where none of them helps
/// (Hooke, Jeeves 1961). If sums are divided by the weights, which makes one weight for all
/// meaningless, it searches for a scale of the result too, and for weights that are not negative.
struct WeightSearch {
  /// A weight and a density for each diff, and a factor of the result.
  struct Point: Hashable {
    var weights, densities: [Double]
    var scale = 1.0
  }

  /// The numbers that are searched for beside the weights.
  struct Space {
    var densities = false, scale = false
  }

  /// A point, and the score that it was found to have.
  struct Step {
    let point: Point
    let score: Double
  }

  /// Everything that was tried, in order.
  private(set) var trace: [Step] = []
  /// The best with one weight (or scale) for all, and the best of all; of equals the first.
  private(set) var uniform, best: Step

  /// The least density that is tried.
  private static let leastDensity = 0.05

  /// Tries at most `budget` points, at least the ten of the first part.
  init(count: Int, in space: Space, budget: Int, _ score: (Point) throws -> Double) throws {
    var tried: [Point: Step] = [:]
    var trace: [Step] = []
    func measure(_ point: Point) throws -> Step {
      if let known = tried[point] { return known }
      let step = Step(point: point, score: try score(point))
      tried[point] = step
      trace.append(step)
      return step
    }
    func uniform(_ factor: Double) -> Point {
      let ones = [Double](repeating: 1, count: count)
      return space.scale
        ? Point(weights: ones, densities: ones, scale: factor)
        : Point(weights: ones.map { $0 * factor }, densities: ones)
    }
    var best = try measure(uniform(1))
    for tenths in 1...9 {
      let step = try measure(uniform(Double(tenths) / 10))
      if step.score > best.score { best = step }
    }
    self.uniform = best
    let weights = count > 1 ? (0..<count).map { \Point.weights[$0] } : []
    let densities = space.densities ? (0..<count).map { \Point.densities[$0] } : []
    let numbers: [WritableKeyPath<Point, Double>] =
      weights + (space.scale ? [\Point.scale] : []) + densities
    let firstDensity = numbers.count - densities.count
    var width = 0.4
    while width > 0.04 && !numbers.isEmpty {
      var improved = false
      for (index, number) in numbers.enumerated() {
        for sign in [1.0, -1] where trace.count < budget {
          var point = best.point
          // On a grid, so that the same numbers are recognized.
          let moved = ((point[keyPath: number] + sign * width) * 100).rounded() / 100
          if index >= firstDensity {
            point[keyPath: number] = min(1, max(Self.leastDensity, moved))
          } else {
            point[keyPath: number] = space.scale ? max(0, moved) : moved
          }
          guard point.weights.contains(where: { $0 != 0 }) else { continue }
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
