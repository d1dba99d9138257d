#if Distributed
import DiffFormat
import Foundation
import StrictJSON
import TensorCore
import Testing
import TestSupport

/// A task of 120 rows that a tiny model learns in 75 steps.
struct RankedTask {
  let scratch: Scratch
  let model: TinyModel

  init(_ scratch: Scratch) throws {
    self.scratch = scratch
    model = try TinyModel(scratch)
    let words = ["red river", "old house", "big dog", "blue sea", "green road", "king cat"]
    // Of several lengths, so that shares of rows and of tokens differ.
    let rows = (0..<120).map { number in
      let tail = repeatElement("the \(words[number / 6 % 6])", count: number % 5).joined(
        separator: " in ")
      return "the \(words[number % 6]) was in \(tail)"
    }
    func write(_ name: String, _ target: (Int) -> String) throws {
      try rows.indices.map { "\(rows[$0])\t\(target($0))" }.joined(separator: "\n")
        .write(toFile: scratch(name), atomically: true, encoding: .utf8)
    }
    try write("train.tsv") { "\($0 % 6 < 3 ? "a" : "b")" }
    try write("numbers.tsv") { "\(Double($0 % 6) / 4)" }
  }

  func arguments(
    _ name: String, task: String? = nil, threads: Int = 1, _ more: [String] = []
  ) -> [String] {
    let task = task ?? scratch("train.tsv")
    return [
      "train", model.path, "--task", task, "--dev", task, "-o", scratch(name + ".diff"),
      "--metrics", scratch(name + ".jsonl"), "--epochs", "3", "--fixed-epochs", "2", "--batch",
      "8", "--density", "0.05", "--threads", "\(threads)", "-q",
    ] + more
  }

  /// Trains by ranks, or where there is one without MPI.
  func train(
    _ name: String, ranks: Int, task: String? = nil, threads: Int = 1, _ more: [String] = [],
    script: String = "", meanwhile: String = ""
  ) throws -> Trained {
    let arguments = arguments(name, task: task, threads: threads, more)
    if ranks == 1 {
      let answer = try Diffkit.run(arguments)
      #expect(answer.code == 0, "\(answer.errors)")
    } else {
      let run = try RankedRun(
        ranks, in: scratch, arguments, script: script, meanwhile: meanwhile)
      #expect(run.code == 0 && run.errors == [], "\(run.errors)")
    }
    return try Trained(scratch, name)
  }

  /// What a training made and wrote.
  struct Trained {
    let losses: [Double]
    /// Payload bytes of each step; none of a process alone.
    let traffic: [UInt64]
    let stages: [String]
    let scores: [String: Double]
    /// Which elements of which tensors change.
    let mask: Set<String>
    let bytes: [UInt8]
    let diff: DiffReader

    init(_ scratch: Scratch, _ name: String) throws {
      let lines = try String(contentsOfFile: scratch(name + ".jsonl"), encoding: .utf8)
        .split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
      losses = try lines.map { try #require($0["loss"]?.double) }
      traffic = lines.compactMap { $0["traffic_bytes"]?.double.map { UInt64($0) } }
      stages = lines.compactMap { $0["stage"]?.text }
      bytes = try contents(ofFile: scratch(name + ".diff"))
      diff = try DiffReader(scratch(name + ".diff"))
      scores = diff.metadata.filter { $0.key.hasPrefix("score.") }.compactMapValues { Double($0) }
      var mask: Set<String> = []
      for entry in diff {
        guard case .add = entry.operation else { continue }
        for position in try diff.contents(of: entry).streams[.changes]?.positions ?? [] {
          mask.insert("\(entry.name) \(position)")
        }
      }
      self.mask = mask
    }

    /// The greatest distance of two losses of a step, as a share of the loss.
    func distance(_ other: Trained) -> Double {
      zip(losses, other.losses).map { abs($0 - $1) / max($1, 1e-3) }.max() ?? .infinity
    }

    /// The share of the changed elements that both change.
    func overlap(_ other: Trained) -> Double {
      Double(mask.intersection(other.mask).count) / Double(max(mask.count, other.mask.count, 1))
    }
  }
}
#endif
