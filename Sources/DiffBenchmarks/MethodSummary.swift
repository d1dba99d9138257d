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
    let differences = zip(one.runs, other.runs).compactMap { runs, others -> Double? in
      let pairs = runs.compactMap { run in
        others.first { $0.seed == run.seed }.map { 100 * (run.score - $0.score) }
      }
      return pairs.isEmpty ? nil : pairs.mean
    }
    guard one.name != other.name, differences.count == tasks.count, tasks.count > 5 else {
      return ""
    }
    return differences.mean.fixed(2) + " ± " + differences.interval.fixed(2)
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
