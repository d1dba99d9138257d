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
    /// Of each tensor, how many elements change, and how many there are.
    var tensors: [String: [Int]]
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

    /// The means and deviations over seeds, the mean over tasks, and the difference from full
    /// finetuning with a paired interval of 95 %.
    func summary(tasks: [String], methods: [ChosenMethod]) -> String {
      var lines = [
        "| method | rate | " + tasks.joined(separator: " | ") + " | mean | against full |",
        "|---|" + String(repeating: "---|", count: tasks.count + 3),
      ]
      func scores(_ method: ChosenMethod, _ task: String) -> [UInt64: Double] {
        let runs = records.filter {
          $0.method == method.name && $0.task == task && $0.rate == method.rate
        }
        return Dictionary(runs.map { ($0.seed, 100 * $0.score) }, uniquingKeysWith: { $1 })
      }
      let full = methods.first { $0.name == "full" }
      for method in methods {
        var cells: [String] = []
        var means: [Double] = []
        var differences: [Double] = []
        for task in tasks {
          let found = scores(method, task)
          guard !found.isEmpty else {
            cells.append("")
            continue
          }
          let values = Array(found.values)
          means.append(values.mean)
          cells.append(
            values.mean.fixed(1) + (values.count > 1 ? " ± " + values.deviation.fixed(1) : ""))
          let others = full.map { scores($0, task) } ?? [:]
          for (seed, score) in found {
            if let other = others[seed] { differences.append(score - other) }
          }
        }
        let all = means.count == tasks.count ? means.mean.fixed(2) : ""
        let against =
          differences.count > 1 && method.name != "full"
          ? differences.mean.fixed(2) + " ± " + differences.interval.fixed(2) : ""
        let rate = method.rate.map { "\($0)" } ?? ""
        lines.append(
          "| \(method.name) | \(rate) | \(cells.joined(separator: " | ")) | \(all) | \(against) |")
      }
      return lines.joined(separator: "\n")
    }
  }

  extension ResultsFile {
    /// Where the changes of a method are: the share of each part of the model, over all tasks.
    func places(_ method: ChosenMethod) -> String {
      var parts: [String: (changed: Int, elements: Int)] = [:]
      for record in records where record.method == method.name && record.rate == method.rate {
        for (name, counts) in record.tensors where counts.count == 2 {
          for part in Self.parts(of: name) {
            parts[part, default: (0, 0)].changed += counts[0]
            parts[part, default: (0, 0)].elements += counts[1]
          }
        }
      }
      let rows = parts.sorted { $0.key < $1.key }.map { part, sum in
        "| \(part) | \((100 * Double(sum.changed) / Double(max(1, sum.elements))).fixed(3)) % |"
      }
      return (["| part, \(method.name) | changed |", "|---|---|"] + rows).joined(separator: "\n")
    }

    /// The parts of the model that a tensor belongs to: a layer or the like, and a kind.
    private static func parts(of name: String) -> [String] {
      let words = name.split { $0 == "." || $0 == "/" }.map(String.init)
      let place: String
      if let layer = words.firstIndex(of: "layer"), layer + 1 < words.count {
        place = "layer \(words[layer + 1])"
      } else if words.contains("pooler") {
        place = "pooler"
      } else {
        place = words.contains("word_embeddings") ? "words" : "other embeddings"
      }
      let kind =
        words.contains { $0.hasPrefix("LayerNorm") }
        ? "all layer norms" : words.last == "bias" ? "all biases" : "all matrices"
      return [place, kind]
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
