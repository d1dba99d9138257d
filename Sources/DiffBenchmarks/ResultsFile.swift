#if Training
  import DiffCommands
  import TensorCore

  #if canImport(FoundationEssentials)
    import FoundationEssentials
  #else
    import Foundation
  #endif

  /// A finished run of the table of methods.
  struct RunRecord: Codable {
    var id, task, method: String
    var seed: UInt64
    /// The learning rate; the score on held-out training rows, and on dev rows.
    var rate, held, score: Double
    var scores: [String: Double]
    var seconds: Double
    var bytes, positions: Int
    var densityBefore: Double?
    /// Of each part of the model, how many elements change, and how many there are.
    var parts: [String: [Int]]
  }

  /// A method and the learning rate that its search found.
  struct ChosenMethod {
    let name: String
    let rate: Double?
  }

  /// Finished runs, a line of JSON each, only ever appended to.
  struct ResultsFile {
    private let path: String
    private var records: [RunRecord] = []

    init(_ path: String) throws {
      self.path = path
      guard FileManager.default.fileExists(atPath: path) else { return }
      for line in try File.contents(of: path).split(separator: 0x0A) {
        records.append(try JSONDecoder().decode(RunRecord.self, from: Data(line)))
      }
    }

    /// A run, if it is finished.
    subscript(id: String) -> RunRecord? { records.first { $0.id == id } }

    mutating func append(_ record: RunRecord) throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let line = try encoder.encode(record) + Data("\n".utf8)
      if !FileManager.default.fileExists(atPath: path) { _ = try File(creating: path) }
      let file = try File(path, writable: true)
      let bytes = Array(line)
      try file.write(bytes.span, at: file.size)
      try file.sync()
      records.append(record)
    }

    /// Means and deviations over seeds, the mean over tasks, and how much better a method is than
    /// some of the methods, with a paired interval of 95 % over tasks and seeds.
    func summary(tasks: [String], methods: [ChosenMethod], against names: [String]) -> String {
      let header = ["method", "rate"] + tasks + ["mean"] + names.map { "minus \($0)" }
      var rows = [header, header.map { _ in "---" }]
      let references = names.compactMap { name in methods.first { $0.name == name } }
      for method in methods {
        let found = tasks.map { scores(method, $0) }
        let means = found.compactMap { $0.isEmpty ? nil : Array($0.values).mean }
        rows.append(
          [method.name, method.rate.map { "\($0)" } ?? ""] + found.map(Self.cell)
            + [means.count == tasks.count ? means.mean.fixed(2) : ""]
            + references.map { difference(method, $0, tasks) })
      }
      return rows.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
    }

    /// The scores of a method on a task, × 100, by seed.
    private func scores(_ method: ChosenMethod, _ task: String) -> [UInt64: Double] {
      let runs = records.filter {
        $0.method == method.name && $0.task == task && $0.rate == method.rate
      }
      return Dictionary(runs.map { ($0.seed, 100 * $0.score) }, uniquingKeysWith: { $1 })
    }

    private static func cell(_ scores: [UInt64: Double]) -> String {
      let values = Array(scores.values)
      if values.isEmpty { return "" }
      return values.mean.fixed(1) + (values.count > 1 ? " ± " + values.deviation.fixed(1) : "")
    }

    private func difference(
      _ one: ChosenMethod, _ other: ChosenMethod, _ tasks: [String]
    ) -> String {
      let differences = tasks.flatMap { task in
        let others = scores(other, task)
        return scores(one, task).compactMap { seed, score in others[seed].map { score - $0 } }
      }
      guard one.name != other.name, differences.count > 1 else { return "" }
      return differences.mean.fixed(2) + " ± " + differences.interval.fixed(2)
    }
  }

  extension ResultsFile {
    /// Where the changes of a method are: the share of each part of the model, over all tasks.
    func places(_ method: ChosenMethod) -> String {
      var parts: [String: (changed: Int, elements: Int)] = [:]
      for record in records where record.method == method.name && record.rate == method.rate {
        for (part, counts) in record.parts where counts.count == 2 {
          parts[part, default: (0, 0)].changed += counts[0]
          parts[part, default: (0, 0)].elements += counts[1]
        }
      }
      let rows = parts.sorted { $0.key < $1.key }.map { part, sum in
        "| \(part) | \((100 * Double(sum.changed) / Double(max(1, sum.elements))).fixed(3)) % |"
      }
      return (["| part, \(method.name) | changed |", "|---|---|"] + rows).joined(separator: "\n")
    }
  }

  extension [Double] {
    var mean: Double { reduce(0, +) / Double(Swift.max(1, count)) }

    /// The deviation of a sample.
    var deviation: Double {
      let mean = mean
      let squares = reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      return (squares / Double(Swift.max(1, count - 1))).squareRoot()
    }

    /// Half of the interval of 95 % for the mean: Student's, its quantile by the expansion of Fisher
    /// and Cornish (1960), within 0.003 from six numbers on.
    var interval: Double {
      let n = Double(Swift.max(1, count - 1))
      let quantile = 1.959964 + (2.37238 + (2.82262 + 2.55611 / n) / n) / n
      return quantile * deviation / Double(Swift.max(1, count)).squareRoot()
    }
  }
#endif
