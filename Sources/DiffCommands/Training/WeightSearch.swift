/// A search for weights that make a score large, without derivatives: first one weight for all, then
/// steps along one weight at a time, halved where none of them helps (Hooke, Jeeves 1961).
struct WeightSearch {
  /// Weights, and the score that they were found to have.
  struct Step: Encodable {
    let weights: [Double]
    let score: Double
  }

  /// Everything that was tried, in order.
  private(set) var trace: [Step] = []
  /// The best with one weight for all, and the best of all; of equals the first.
  private(set) var uniform, best: Step

  /// Tries at most `budget` weights, at least the ten of the first part.
  init(count: Int, budget: Int, _ score: ([Double]) throws -> Double) throws {
    var tried: [[Double]: Step] = [:]
    var trace: [Step] = []
    func measure(_ weights: [Double]) throws -> Step {
      if let known = tried[weights] { return known }
      let step = Step(weights: weights, score: try score(weights))
      tried[weights] = step
      trace.append(step)
      return step
    }
    var best = try measure([Double](repeating: 1, count: count))
    for tenths in 1...9 {
      let step = try measure([Double](repeating: Double(tenths) / 10, count: count))
      if step.score > best.score { best = step }
    }
    uniform = best
    var width = 0.4
    while width > 0.04 && count > 1 {
      var improved = false
      for index in 0..<count {
        for sign in [1.0, -1] where trace.count < budget {
          var weights = best.weights
          // On a grid, so that the same weights are recognised.
          weights[index] = ((weights[index] + sign * width) * 100).rounded() / 100
          let step = try measure(weights)
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
