import DiffFormat
import DiffOperations
import TensorCore

// Choosing weights by score.
extension MergeCommand {
  /// Chooses the weights of the diffs by scores on the tasks, and records the search in metadata.
  /// Returns notes on the result.
  func tune(
    _ inputs: inout [MergeInput], _ options: inout MergeOptions, base: String
  ) throws -> [String] {
    guard weights.isEmpty else {
      throw DiffError(.usage, "--weights and --tune exclude each other")
    }
    let budget = tuneBudget ?? 40
    guard (10...10_000).contains(budget) else {
      throw DiffError(.usage, "--tune-budget must be 10 to 10000 evaluations")
    }
    if tuneDensities {
      guard density == nil, densities.isEmpty else {
        throw DiffError(.usage, "--tune-densities excludes --density and --densities")
      }
      options.density = 1
      options.densityOf = densityOf ?? .nonzeros
    }
    var plain = options
    (plain.base, plain.rows, plain.pruneTo, plain.refusesLosses) = (nil, nil, nil, false)
    let tuning = try MergeTuning(
      inputs.map(\.diff), on: base, tasks: tune, files: modelFiles, plain)
    let progress = report.progress
    let space = WeightSearch.Space(densities: tuneDensities, scale: options.cancelsCommonFactor)
    let (search, held) = try tuning.search(in: space, budget: budget) { done in
      progress.say("tune: \(done) of at most \(budget) evaluations")
    }
    let best = search.best.point
    best.set(&inputs, &options, in: space)
    func text(_ numbers: [Double]) -> String { numbers.map { "\($0)" }.joined(separator: ",") }
    let steps = search.trace.map { step in
      let densities = tuneDensities ? " \(text(step.point.densities))" : ""
      let scale = space.scale ? " scale=\(step.point.scale)" : ""
      return "\(text(step.point.weights))\(densities)\(scale) \(step.score.fixed(5))"
    }
    if tuneDensities { options.metadata["diffkit.merge.densities"] = text(best.densities) }
    options.metadata["diffkit.merge.tune.trace"] = steps.joined(separator: "; ")
    options.metadata["diffkit.merge.tune.held-out"] = held.best.fixed(5)
    options.metadata["diffkit.merge.tune.held-out-one-weight"] = held.uniform.fixed(5)
    let interval = [held.interval.lowerBound, held.interval.upperBound].map { $0.fixed(5) }
    options.metadata["diffkit.merge.tune.held-out-interval"] = interval.joined(separator: ",")
    let chosen =
      "weights \(text(best.weights))"
      + (tuneDensities ? " and densities \(text(best.densities))" : "")
      + (space.scale ? " and scale \(best.scale)" : "")
    let uniform = search.uniform.point
    let one = space.scale ? "one scale, \(uniform.scale)" : "one weight, \(uniform.weights[0])"
    return [
      "\(chosen), out of \(search.trace.count) evaluations: mean score "
        + "\(search.best.score.fixed(4)) on the rows tuned on, \(held.best.fixed(4)) on the others",
      "\(one): \(search.uniform.score.fixed(4)), \(held.uniform.fixed(4)); difference on the others "
        + "\(interval[0]) to \(interval[1]) (95 % interval)",
    ]
  }
}
