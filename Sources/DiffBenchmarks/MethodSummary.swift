import Algorithms
import DiffCommands

/// A summary of the runs of a table of methods.
struct MethodSummary {
  /// A method.
  struct Row {
    let name: String
    /// The learning rate that the search found.
    let rate: Double?
    /// For each task, the finished runs, one for each seed.
    let runs: [[RunRecord]]
  }

  let tasks: [String]
  let methods: [Row]

  /// Returns a table of means and deviations over seeds, × 100, the mean over tasks, and the
  /// differences from some methods: those of pairs of equal task and seed, their mean over seeds,
  /// and the interval of 95 % over tasks.
  func scores(against names: [String]) -> String {
    let references = names.compactMap { name in methods.first { $0.name == name } }
    let header = ["method", "rate"] + tasks + ["mean"] + references.map { "minus \($0.name)" }
    var lines = [header, header.map { _ in "---" }]
    for method in methods {
      let scores = method.runs.map { $0.map { 100 * $0.score } }
      let isWhole = scores.allSatisfy { !$0.isEmpty }
      lines.append(
        [method.name, method.rate.map { "\($0)" } ?? ""] + scores.map(Self.cell)
          + [isWhole ? scores.map(\.mean).mean.fixed(2) : ""]
          + references.map { difference(method, $0) })
    }
    return lines.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
  }

  private static func cell(_ scores: [Double]) -> String {
    if scores.isEmpty { return "" }
    return scores.mean.fixed(1) + (scores.count > 1 ? " ± " + scores.deviation.fixed(1) : "")
  }

  private func difference(_ one: Row, _ other: Row) -> String {
    guard let paired = paired(one, other) else { return "" }
    return paired.difference.fixed(2) + " ± " + paired.interval.fixed(2)
  }

  /// The mean difference of two methods over pairs of equal task and seed, × 100, and its interval
  /// of 95 % over tasks; nil for a method and itself, and where a task has no pair.
  private func paired(_ one: Row, _ other: Row) -> (difference: Double, interval: Double)? {
    let differences = zip(one.runs, other.runs).compactMap { runs, others -> Double? in
      let pairs = runs.compactMap { run in
        others.first { $0.seed == run.seed }.map { 100 * (run.score - $0.score) }
      }
      return pairs.isEmpty ? nil : pairs.mean
    }
    guard one.name != other.name, differences.count == tasks.count, tasks.count > 5 else {
      return nil
    }
    return (differences.mean, differences.interval)
  }

  /// Score against density beside a method, which is that of all weights.
  ///
  /// - Parameter densities: That of each method that is drawn, and the series that it belongs to.
  func figure(
    against full: String, _ densities: [(method: String, series: String, density: Double)]
  ) -> MethodFigure? {
    guard let reference = methods.first(where: { $0.name == full }) else { return nil }
    var series: [MethodFigure.Series] = []
    for (name, points) in densities.chunked(on: \.series) {
      let found = points.compactMap { point in
        methods.first { $0.name == point.method }.flatMap { paired($0, reference) }
          .map { (point.density, $0.difference, $0.interval) }
      }
      guard !found.isEmpty else { continue }
      series.append(MethodFigure.Series(name: name, color: series.count, points: found))
    }
    // Seeds that every task has.
    let seeds = reference.runs.map { Set($0.map(\.seed)) }
    let common = seeds.dropFirst().reduce(seeds.first ?? []) { $0.intersection($1) }
    let means = common.sorted().map { seed in
      reference.runs.map { runs in 100 * (runs.first { $0.seed == seed }?.score ?? 0) }.mean
    }
    return MethodFigure(series: series, band: means.deviation)
  }

  /// Returns a table of the share of changed elements in each part of the model, over all runs of a
  /// method.
  func places(of name: String) -> String {
    var parts: [String: (changed: Int, elements: Int)] = [:]
    for record in methods.filter({ $0.name == name }).flatMap(\.runs).joined() {
      for (part, counts) in record.parts where counts.count == 2 {
        parts[part, default: (0, 0)].changed += counts[0]
        parts[part, default: (0, 0)].elements += counts[1]
      }
    }
    let rows = parts.sorted { $0.key < $1.key }.map { part, sum in
      "| \(part) | \((100 * Double(sum.changed) / Double(max(1, sum.elements))).fixed(3)) % |"
    }
    return (["| part, \(name) | changed |", "|---|---|"] + rows).joined(separator: "\n")
  }
}

extension [Double] {
  var mean: Double { reduce(0, +) / Double(Swift.max(1, count)) }

  /// The standard deviation of the sample.
  var deviation: Double {
    let mean = mean
    let squares = reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / Double(Swift.max(1, count - 1))).squareRoot()
  }

  /// Half of Student's interval of 95 % for the mean. The quantile is from the expansion of Fisher
  /// and Cornish (1960), within 0.003 for six numbers or more.
  var interval: Double {
    let n = Double(Swift.max(1, count - 1))
    let quantile = 1.959964 + (2.37238 + (2.82262 + 2.55611 / n) / n) / n
    return quantile * deviation / Double(Swift.max(1, count)).squareRoot()
  }
}
