import DiffCommands
import DiffTraining
import SystemSupport
import TensorCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Tasks × methods × seeds. Each run is appended to a file of results, so that a table that takes
/// hours can be stopped and continued.
///
///     DiffBenchmarks table results=spec/methods.jsonl precision=bf16 hours=2 figure=spec/methods.svg
///
/// Every method gets the same budget for training, six epochs, and for search: each of three
/// learning rates is tried once on each of some tasks, with seed 0; the method uses the one with
/// the best mean score over those tasks on rows held out of the training rows. Most kinds and
/// densities of gates reuse the search of another method, and magnitude selects from full
/// finetuning at its best rate. Dev rows are only reported.
struct MethodTable {
  /// A row of the table.
  struct Method {
    var name: String
    let method: TrainingOptions.Method
    var density = 0.005
    var slope = GateSlope.expected
    /// True if dropout is used while the fixed mask is trained.
    var fixedDropout = true
    /// The name of the method whose search is reused; nil: the method has its own.
    var search: String?
    /// The learning rates to try: of the fixed selection, or of all parameters.
    var rates: [Double] = []

    var isGated: Bool { method == .structured || method == .unstructured }

    /// The same method with the slope of the draw, and the search of that at 0.5 %.
    var drawn: Method {
      let suffix = " (drawn slope)"
      var drawn = self
      drawn.name += suffix
      drawn.slope = .drawn
      drawn.search = name == MethodTable.gated ? nil : MethodTable.gated + suffix
      return drawn
    }
  }

  /// All methods; those with gates occur a second time, with the slope of the draw.
  static let methods = named + undropped + named.filter(\.isGated).map(\.drawn)
  private static let named: [Method] = [
    Method(name: gated, method: .structured, rates: [3e-4, 1e-3, 3e-3]),
    full,
    Method(name: "magnitude 0.5 %", method: .magnitude, rates: [1e-3, 3e-3, 1e-2]),
    Method(name: "fisher 0.5 %", method: .fisher, rates: [3e-4, 1e-3, 3e-3]),
    Method(name: "random 0.5 %", method: .random, rates: [1e-3, 3e-3, 1e-2]),
    Method(name: "bitfit", method: .bitfit, rates: [1e-3, 3e-3, 1e-2]),
    Method(
      name: "structured 0.1 %", method: .structured, density: 0.001,
      rates: [1e-3, 3e-3, 1e-2]),
    Method(name: "unstructured 0.5 %", method: .unstructured, search: gated),
    Method(name: "last layer", method: .lastLayer, rates: [3e-4, 1e-3, 3e-3]),
    Method(name: "structured 0.25 %", method: .structured, density: 0.0025, search: gated),
    Method(name: "structured 1 %", method: .structured, density: 0.01, search: gated),
  ]
  /// Methods whose second stage is without dropout.
  private static let undropped: [Method] = [
    Method(
      name: "structured 0.5 % (mask without dropout)", method: .structured, fixedDropout: false,
      rates: [1e-3, 3e-3, 1e-2]),
    Method(
      name: "magnitude 0.5 % (mask without dropout)", method: .magnitude, fixedDropout: false,
      rates: [1e-3, 3e-3, 1e-2]),
    Method(
      name: "structured 0.1 % (mask without dropout)", method: .structured, density: 0.001,
      fixedDropout: false, rates: [3e-3, 1e-2, 2e-2]),
  ]
  private static let full = Method(name: "full", method: .full, rates: [2e-5, 5e-5, 1e-4])
  private static let gated = "structured 0.5 %"
  static let tasks = ["cola", "mrpc", "sms-spam", "mr", "subj", "cr", "vader-movie"]

  private static let settings = [
    "results", "model", "tasks", "methods", "rows", "search", "precision", "seeds", "hours",
    "figure",
  ]

  private let shared = "../shared/data"
  private let model: String
  private let tasks: [String]
  private let methods: [Method]
  private let rows: String
  private let searchTasks: [String]
  private let precision: Precision
  private let seeds: Int
  private let hours: Double
  /// Where a picture of the table is written, if anywhere.
  private let figure: String?
  private var results: ResultsFile
  /// The number of runs that did not fit into the time.
  private var left = 0
  private let clock = ContinuousClock()
  private let started: ContinuousClock.Instant

  static func run(_ arguments: [String]) throws {
    var table = try MethodTable(arguments)
    try table.fill()
    let summary = MethodSummary(
      tasks: table.tasks, methods: table.methods.map { table.rows(of: $0) })
    print(summary.scores(against: [Self.full.name, Self.gated]))
    if table.left > 0 { print("\n\(table.left) runs are left; the same command goes on") }
    print("\n" + summary.places(of: Self.gated))
    if let path = table.figure, let figure = summary.figure(against: Self.full.name, Self.drawn) {
      try OutputFile.write(Array((figure.svg + "\n").utf8), to: path, overwriting: true)
    }
  }

  /// What the picture of the table shows, series by series.
  private static let drawn: [(method: String, series: String, density: Double)] =
    [("0.1 %", 0.001), ("0.25 %", 0.0025), ("0.5 %", 0.005), ("1 %", 0.01)].map {
      ("structured \($0.0)", "structured", $0.1)
    } + [
      ("magnitude 0.5 %", "magnitude", 0.005),
      ("random 0.5 %", "random mask", 0.005),
      ("fisher 0.5 %", "Fisher mask", 0.005),
      // The share of the biases of MiniLM-L6.
      ("bitfit", "BitFit", 0.00115),
    ]

  /// The runs of a method that are finished.
  private func rows(of method: Method) -> MethodSummary.Row {
    let rate = best(method)
    let runs = tasks.map { task in
      (0..<UInt64(max(1, seeds))).compactMap { seed in
        rate.flatMap { results[id(task, method, rate: $0, seed: seed)] }
      }
    }
    return MethodSummary.Row(name: method.name, rate: rate, runs: runs)
  }

  private init(_ arguments: [String]) throws {
    var given: [String: String] = [:]
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2,
        Self.settings.contains(parts[0])
      else { throw DiffError(.usage, "'\(argument)' is not a setting of the table") }
      given[parts[0]] = parts[1]
    }
    model = given["model"] ?? "minilm-l6"
    tasks = given["tasks"]?.split(separator: ",").map(String.init) ?? Self.tasks
    let names = given["methods"]?.split(separator: ",").map(String.init)
    methods = try names.map { try $0.map(Self.method) } ?? Self.methods
    rows = given["rows"] ?? "train.2k"
    searchTasks = given["search"]?.split(separator: ",").map(String.init) ?? ["cola", "mr"]
    precision = try Self.number(given, "precision", Precision.init(rawValue:)) ?? .f32
    seeds = try Self.number(given, "seeds") { Int($0) } ?? 3
    hours = try Self.number(given, "hours") { Double($0) } ?? .infinity
    guard precision.isAvailable else {
      throw DiffError(.unsupported, "this processor has no bf16")
    }
    figure = given["figure"]
    results = try ResultsFile(given["results"] ?? "methods.jsonl")
    started = clock.now
  }

  private static func number<Value>(
    _ given: [String: String], _ name: String, _ parse: (String) -> Value?
  ) throws -> Value? {
    guard let text = given[name] else { return nil }
    guard let value = parse(text) else {
      throw DiffError(.usage, "'\(text)' is not a valid value of \(name)")
    }
    return value
  }

  private static func method(_ name: String) throws -> Method {
    guard let method = methods.first(where: { $0.name == name }) else {
      throw DiffError(.usage, "the table has no method '\(name)'")
    }
    return method
  }

  /// Runs what is not finished: the search, the first seed of all methods, then the other seeds.
  private mutating func fill() throws {
    for method in methods where method.search == nil {
      for task in searchTasks {
        for rate in method.rates { try train(task, method, rate: rate, seed: 0) }
      }
    }
    for seed in 0..<max(1, seeds) {
      for task in tasks {
        for method in methods {
          guard let rate = best(method) else {
            left += 1
            continue
          }
          try train(task, method, rate: rate, seed: UInt64(seed))
        }
      }
    }
  }

  /// Returns the learning rate with the best mean score on held-out rows of the search tasks; nil
  /// until all are tried.
  private func best(_ method: Method) -> Double? {
    let of = Self.methods.first { $0.name == method.search } ?? method
    let tried = of.rates.compactMap { rate in held(of, rate).map { (rate, held: $0) } }
    guard tried.count == of.rates.count else { return nil }
    return tried.max { $0.held < $1.held }?.0
  }

  private func held(_ method: Method, _ rate: Double) -> Double? {
    let found = searchTasks.compactMap { results[id($0, method, rate: rate, seed: 0)]?.held }
    return found.count == searchTasks.count ? found.mean : nil
  }

  private func id(_ task: String, _ method: Method, rate: Double, seed: UInt64) -> String {
    "\(model)/\(task)/\(rows)/\(precision.rawValue)/\(method.name)/\(rate)/\(seed)"
  }

  private mutating func train(
    _ task: String, _ method: Method, rate: Double, seed: UInt64
  ) throws {
    let id = id(task, method, rate: rate, seed: seed)
    guard results[id] == nil else { return }
    guard (clock.now - started) / .seconds(3600) < hours,
      let options = options(method, rate: rate, seed: seed)
    else {
      left += 1
      return
    }
    let trial = try TrainingTrial(
      model: "\(shared)/models/\(model)", task: "\(shared)/tasks/\(task)", rows: rows,
      pooling: .pooler, precision: precision)
    let result = try trial.run(options)
    let record = RunRecord(
      id: id, task: task, method: method.name, seed: seed, rate: rate,
      held: Self.score(task, result.held), score: Self.score(task, result.dev),
      scores: result.dev, seconds: result.seconds, bytes: result.bytes,
      positions: result.finetune.positions.count,
      densityBefore: result.finetune.densityBefore, parts: result.finetune.parts)
    try results.append(record)
    print(
      "\(id): held out \((record.held * 100).fixed(2)), dev \((record.score * 100).fixed(2)), "
        + "\(result.seconds.fixed(0)) s")
  }

  /// Returns the training options of a method; nil until the searches they depend on are finished.
  private func options(_ method: Method, rate: Double, seed: UInt64) -> TrainingOptions? {
    var options = TrainingOptions()
    options.method = method.method
    options.density = method.density
    options.slope = method.slope
    options.fixedDropout = method.fixedDropout
    options.seed = seed
    // The rate is that of the fixed selection; the stage before has its own.
    options.fixedLearningRate = rate
    switch method.method {
    case .full: options.learningRate = rate
    case .magnitude:
      guard let best = best(Self.full) else { return nil }
      options.learningRate = best
    default: break
    }
    return options
  }

  /// Returns the main score of a task: that of GLUE, or accuracy.
  private static func score(_ task: String, _ scores: [String: Double]) -> Double {
    func mean(_ one: String, _ other: String) -> Double {
      ((scores[one] ?? 0) + (scores[other] ?? 0)) / 2
    }
    return switch task {
    case "cola": scores["matthews"] ?? 0
    case "mrpc": mean("accuracy", "f1")
    case "vader-movie": mean("pearson", "spearman")
    default: scores["accuracy"] ?? 0
    }
  }
}
