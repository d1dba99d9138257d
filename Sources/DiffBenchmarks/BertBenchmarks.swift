import DiffCommands
import DiffTraining
import StrictJSON
import SystemSupport
import TensorCore
import TestSupport

/// Steps of models of BERT's sizes with weights of chance, beside PyTorch's on the same files.
/// Medians of processes of their own, taken in turns.
struct BertBenchmarks {
  private static let task = "../shared/data/tasks/mr/train.2k.tsv"
  private static let vocabulary = "../shared/data/models/minilm-l6/vocab.txt"
  private static let peer = "../shared/peers/torch_diff_pruning.py"
  private static let runs = 3

  static func base() throws {
    guard File.exists(task) else { return print("\nbert-base: needs ../shared/data; skipped") }
    let report = Report("BERT-base's shape (110 M), batches of 16 of mr/train.2k, all cores")
    try inFolder(of: .base) { folder in
      var ours: [String: [Measured]] = [:]
      var theirs: [String: [Measured]] = [:]
      for _ in 0..<runs {
        for method in ["full", "structured"] {
          for precision in Precision.allCases where precision.isAvailable {
            ours["\(method) \(precision)", default: []].append(
              try measure(method, folder, precision))
          }
          if let python = Peers.python {
            theirs[method, default: []].append(try measurePeer(python, method, folder))
          }
        }
      }
      func mine(_ name: String) -> Measured { Measured(medianOf: ours[name] ?? []) }
      if theirs.isEmpty { report.row("PyTorch", "", "skipped: DIFFKIT_PEERS_PYTHON is not set") }
      for (method, what) in [("full", "full"), ("structured", "gated")] {
        for precision in Precision.allCases where precision.isAvailable {
          let own = mine("\(method) \(precision)")
          report.row(
            "a step, \(what), \(precision)", "\(own)",
            method == "full" ? "" : "full: \(mine("full \(precision)"))",
            ratio: method == "full" ? nil : own.seconds / mine("full \(precision)").seconds,
            bar: method == "full" ? "" : "≤ 1.25, ≤ 4.0 GB")
          guard let peers = theirs[method] else { continue }
          let peer = Measured(medianOf: peers)
          report.row(
            "the same", "\(own)", "PyTorch, f32: \(peer)", ratio: own.seconds / peer.seconds,
            bar: method == "full" ? "" : "≤ 0.2")
        }
      }
    }
  }

  static func large() throws {
    guard File.exists(task) else { return print("\nbert-large: needs ../shared/data; skipped") }
    let report = Report("BERT-large's shape (335 M), batches of 16 of mr/train.2k, all cores")
    try inFolder(of: .large) { folder in
      for method in ["full", "structured"] {
        let measured = try measure(method, folder, .f32, steps: 6)
        report.row(
          "a step, \(method), f32", "\(measured)", bar: method == "full" ? "" : "≤ 13 GB")
      }
    }
  }

  private static func inFolder(of shape: BertShape, _ body: (String) throws -> Void) throws {
    try SideBySide.withFolder { folder in
      // In a process of its own, whose memory is not that of the measurements.
      try SideBySide.child(ProgramArguments.words[0], ["bert-make", shape.name, folder])
      try SideBySide.child("cp", [vocabulary, folder + "/vocab.txt"])
      try body(folder)
    }
  }

  /// What `inFolder` starts: the files of a shape.
  static func make(_ arguments: [String]) throws {
    let shapes = [BertShape.small, .base, .large]
    guard arguments.count == 2, let shape = shapes.first(where: { $0.name == arguments[0] }) else {
      throw DiffError(.usage, "a shape and a folder are wanted")
    }
    try shape.write(to: arguments[1])
  }

  private struct Measured: CustomStringConvertible {
    var seconds, memory: Double

    init(seconds: Double, memory: Double) { (self.seconds, self.memory) = (seconds, memory) }

    init(medianOf all: [Measured]) {
      self.init(seconds: all.map(\.seconds).median, memory: all.map(\.memory).median)
    }

    var description: String {
      "\((seconds * 1e3).fixed(0)) ms, \((memory / 1e9).fixed(2)) GB"
    }
  }

  private static func measure(
    _ method: String, _ folder: String, _ precision: Precision, steps: Int = 24
  ) throws -> Measured {
    let process = try SideBySide.child(
      ProgramArguments.words[0],
      ["gated-steps", method, folder + "/model.safetensors", precision.rawValue, "\(steps)"])
    let output = String(decoding: process.output, as: UTF8.self)
    guard let seconds = Double(output.split(separator: "\n").last ?? "") else {
      throw DiffError(.unsupported, String(decoding: process.errors, as: UTF8.self))
    }
    return Measured(seconds: seconds, memory: Double(process.peakMemory))
  }

  private static func measurePeer(
    _ python: String, _ method: String, _ folder: String
  ) throws -> Measured {
    // What it scores at the end is no part of the time.
    let rows = try File.contents(of: task).split(separator: 10).prefix(16)
    let file = try File(creating: folder + "/dev-\(method).tsv")
    try file.write(Array(rows.joined(separator: [10])).span, at: 0)
    defer { _ = try? ChildProcess.run("rm", [folder + "/dev-\(method).tsv"]) }
    let process = try SideBySide.child(
      python,
      [
        peer, "--model", folder + "/model.safetensors", "--config", folder + "/config.json",
        "--vocab", folder + "/vocab.txt", "--train", task, "--dev", folder + "/dev-\(method).tsv",
        "--method", method, "--bs", "16", "--max-steps", "12",
      ])
    let line = String(decoding: process.output, as: UTF8.self).split(separator: "\n").last ?? ""
    let result = try JSONValue(parsing: Array(line.utf8))
    guard
      let seconds = result[method == "full" ? "s_per_step" : "stage1_s_per_step"]?.double,
      let memory = result["peak_rss_mb"]?.double
    else { throw DiffError(.unsupported, String(decoding: process.errors, as: UTF8.self)) }
    return Measured(seconds: seconds, memory: memory * 1_048_576)
  }
}
