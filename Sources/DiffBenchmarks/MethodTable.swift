#if Training
  import DiffCommands
  import DiffTraining
  import TensorCore

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// Tasks × methods × seeds, each run appended to a file of results, so that a table of hours may
  /// be stopped and gone on with.
  ///
  ///     DiffBenchmarks table results=spec/methods.jsonl rows=train.2k hours=4
  ///
  /// Every method gets the same budget of search: as many learning rates, each tried once on a part
  /// of the training rows that is split off. The best one trains on all rows, once for each seed,
  /// and is measured on the task's dev rows.
  struct MethodTable {
    /// A row of the table.
    struct Method {
      let name: String
      let method: TrainingOptions.Method
      var density = 0.005
      /// The method whose search is taken over; nil: it has its own.
      var search: String?
    }

    static let methods: [Method] = [
      Method(name: "full", method: .full),
      Method(name: "structured 0.5 %", method: .structured),
      Method(name: "structured 0.1 %", method: .structured, density: 0.001),
      Method(name: "structured 0.25 %", method: .structured, density: 0.0025),
      Method(name: "structured 1 %", method: .structured, density: 0.01),
      Method(name: "unstructured 0.5 %", method: .unstructured),
      Method(name: "magnitude 0.5 %", method: .magnitude),
      Method(name: "fisher 0.5 %", method: .fisher),
      Method(name: "random 0.5 %", method: .random),
      Method(name: "bitfit", method: .bitfit),
      Method(name: "last layer", method: .lastLayer),
    ]
    static let tasks = ["cola", "mrpc", "sms-spam", "mr", "subj", "cr", "vader-movie"]

    private let shared = "../shared/data"
    private let model: String
    private let tasks: [String]
    private let methods: [Method]
    private let rows: String
    private let seeds: Int
    private let hours: Double
    private var results: ResultsFile
    private let clock = ContinuousClock()
    private let started: ContinuousClock.Instant

    static func run(_ arguments: [String]) throws {
      var table = try MethodTable(arguments)
      try table.fill()
      print(table.results.summary(tasks: table.tasks, methods: table.methods.map(\.name)))
      print("\n" + table.results.places("structured 0.5 %"))
    }

    private init(_ arguments: [String]) throws {
      var given: [String: String] = [:]
      for argument in arguments {
        let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2,
          ["results", "model", "tasks", "methods", "rows", "seeds", "hours"].contains(parts[0])
        else { throw DiffError(.usage, "'\(argument)' is no setting of the table") }
        given[parts[0]] = parts[1]
      }
      model = given["model"] ?? "minilm-l6"
      tasks = given["tasks"]?.split(separator: ",").map(String.init) ?? Self.tasks
      let names = given["methods"]?.split(separator: ",").map(String.init)
      methods = Self.methods.filter { names?.contains($0.name) ?? true }
      rows = given["rows"] ?? "train.2k"
      seeds = given["seeds"].flatMap { Int($0) } ?? 3
      hours = given["hours"].flatMap { Double($0) } ?? .infinity
      results = try ResultsFile(given["results"] ?? "methods.jsonl")
      started = clock.now
    }

    /// Does what is not done yet: all searches and the first seed of all, then the other seeds.
    private mutating func fill() throws {
      for seed in 0..<max(1, seeds) {
        for task in tasks {
          for method in methods {
            let rate = try best(task, method)
            try train(task, method, rate: rate, seed: UInt64(seed), isSearch: false)
          }
        }
      }
    }

    /// The learning rate that did best on the part that was split off.
    private mutating func best(_ task: String, _ method: Method) throws -> Double {
      var found: [(rate: Double, score: Double)] = []
      for rate in Self.rates(method.method) {
        try train(task, method, rate: rate, seed: 0, isSearch: true)
        let id = self.id(task, method, rate: rate, seed: 0, isSearch: true)
        if let score = results[id] { found.append((rate, score)) }
      }
      guard let best = found.max(by: { $0.score < $1.score }) else {
        throw DiffError(.usage, "the time is over before the first run")
      }
      return best.rate
    }

    /// Three for every method, around what suits it.
    private static func rates(_ method: TrainingOptions.Method) -> [Double] {
      switch method {
      case .full: [5e-5, 1e-4, 2e-4]
      case .magnitude, .lastLayer: [1e-4, 3e-4, 1e-3]
      case .structured, .unstructured, .fisher, .random, .bitfit: [3e-4, 1e-3, 3e-3]
      }
    }

    private func id(
      _ task: String, _ method: Method, rate: Double, seed: UInt64, isSearch: Bool
    ) -> String {
      "\(model)/\(task)/\(rows)/\(method.name)/"
        + (isSearch ? "search/\(rate)" : "final/\(seed)")
    }

    private mutating func train(
      _ task: String, _ method: Method, rate: Double, seed: UInt64, isSearch: Bool
    ) throws {
      let id = id(task, method, rate: rate, seed: seed, isSearch: isSearch)
      guard results[id] == nil else { return }
      guard (clock.now - started) / .seconds(3600) < hours else {
        throw DiffError(.usage, "the \(hours) hours are over; the same command goes on")
      }
      let folder = "\(shared)/tasks/\(task)/"
      let path = folder + rows + ".tsv"
      let isThere = (try? File(path)) != nil
      let trial = try TrainingTrial(
        model: "\(shared)/models/\(model)", train: isThere ? path : folder + "train.tsv",
        dev: isSearch ? nil : folder + "dev.tsv", pooling: .pooler)
      var options = TrainingOptions()
      options.method = method.method
      options.density = method.density
      options.seed = seed
      // The rate is that of what is kept in the end; what leads there has its own, in proportion.
      options.fixedLearningRate = rate
      options.learningRate = method.method == .full ? rate : options.learningRate
      let result = try trial.run(options)
      let record = RunRecord(
        id: id, task: task, method: method.name, seed: seed, isSearch: isSearch, rate: rate,
        score: Self.score(task, result.scores), scores: result.scores,
        seconds: result.seconds, bytes: result.bytes, positions: result.finetune.positions.count,
        densityBefore: result.finetune.densityBefore, tensors: result.finetune.counts)
      try results.append(record)
      print("\(id): \((record.score * 100).fixed(2)), \(result.seconds.fixed(0)) s")
    }

    /// What counts for a task: as GLUE has it, accuracy elsewhere.
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

  extension Finetune {
    /// How many elements of each tensor change, and how many there are.
    fileprivate var counts: [String: [Int]] {
      var counts: [String: [Int]] = [:]
      var index = 0
      for parameter in layout.parameters where !parameter.isHead {
        let first = index
        while index < positions.count, positions[index] < parameter.range.upperBound { index += 1 }
        counts[parameter.name] = [index - first, parameter.range.count]
      }
      return counts
    }
  }
#endif
