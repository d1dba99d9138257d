import Checkpoints
import DiffCommands
import DiffFormat
import DiffTraining
import StrictJSON
import SystemSupport
import TensorCore
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The time of a step of gated training, compared with full finetuning and with PyTorch, on
/// MiniLM-L6.
struct GateBenchmarks {
  private static let shared = "../shared"
  private static let model = shared + "/data/models/minilm-l6"
  private static let task = shared + "/data/tasks/mr/train.2k.tsv"
  private static let steps = 80
  private static let batchSize = 16

  static func run() throws {
    let report = Report("Diff pruning of MiniLM-L6, batches of 16 of mr/train.2k")
    guard FileManager.default.fileExists(atPath: model) else {
      return print("skipped: \(model) does not exist")
    }
    // Alternating, so that other load on the machine slows both.
    var runs: [[String: Measured]] = []
    for _ in 0..<3 {
      var measured: [String: Measured] = [:]
      for method in ["full", "structured"] { measured[method] = try measure(method) }
      runs.append(measured)
    }
    func median(_ method: String, _ path: KeyPath<Measured, Double>) -> Double {
      runs.compactMap { $0[method]?[keyPath: path] }.median
    }
    let (full, gated) = (median("full", \.seconds), median("structured", \.seconds))
    report.row(
      "stage 1, structured: a step", milliseconds(gated), "full finetuning \(milliseconds(full))",
      ratio: gated / full, bar: "≤ 1.25")
    if let python = Peers.python {
      let peer = try peer(python)
      report.row(
        "the same beside PyTorch", milliseconds(gated), milliseconds(peer.seconds),
        ratio: peer.seconds / gated, bar: "≥ 4")
      let memory = median("structured", \.memory)
      report.row(
        "peak memory", megabytes(memory), megabytes(peer.memory), ratio: memory / peer.memory,
        bar: "≤ 0.6")
    } else {
      print("PyTorch skipped: DIFFKIT_PEERS_PYTHON does not name a Python that has it")
    }
    try size(report)
  }

  private struct Measured {
    var seconds: Double
    var memory: Double
  }

  /// Returns the median seconds of a step, measured in a separate process.
  private static func measure(_ method: String) throws -> Measured {
    let process = try ChildProcess.run(ProgramArguments.words[0], ["gated-steps", method])
    let output = String(decoding: process.output, as: UTF8.self)
    guard let seconds = Double(output.split(separator: "\n").last ?? "") else {
      throw DiffError(.unsupported, String(decoding: process.errors, as: UTF8.self))
    }
    return Measured(seconds: seconds, memory: Double(process.peakMemory))
  }

  /// What `measure` starts: some steps of a method.
  ///
  /// - Parameter arguments: The method; perhaps a model, a precision, and how many steps.
  static func steps(_ arguments: [String]) throws {
    func argument(_ index: Int) -> String? { index < arguments.count ? arguments[index] : nil }
    let steps = argument(3).flatMap { Int($0) } ?? steps
    let (model, examples) = try material(
      argument(1) ?? Self.model + "/model.h5",
      argument(2).flatMap { Precision(rawValue: $0) } ?? .f32)
    var options = TrainingOptions()
    options.method = arguments.first == "full" ? .full : .structured
    options.batchSize = batchSize
    var times: [Double] = []
    let clock = ContinuousClock()
    var last = clock.now
    _ = try Trainer(model, examples, options).run { progress in
      times.append((clock.now - last) / .seconds(1))
      last = clock.now
      return progress.step < steps ? .more : .stop
    }
    // The first steps are slower: memory is cold, and rows of tables are read for the first time.
    print(times.dropFirst(steps / 4).median)
  }

  private static func material(
    _ path: String = model + "/model.h5", _ precision: Precision = .f32
  ) throws -> (EncoderModel, [TokenExample]) {
    let checkpoint = try CheckpointFile.open(path)
    let folder = OutputFile.split(path).folder
    let encoder = try EncoderModel(
      EncoderConfiguration(contentsOf: folder + "/config.json"), checkpoint: checkpoint,
      head: .classes(2), engine: Engine(precision: precision))
    let tokenizer = try WordPiece(vocabulary: File.contents(of: model + "/vocab.txt"))
    return (encoder, try TaskData(table: task).examples(tokenizer, maxLength: 128).examples)
  }

  /// Returns the median step of stage 1 in PyTorch.
  private static func peer(_ python: String) throws -> Measured {
    let converted = FileManager.default.temporaryDirectory.path + "/diffkit-peer.safetensors"
    defer { try? FileManager.default.removeItem(atPath: converted) }
    _ = try ChildProcess.run(
      python, [shared + "/peers/h5_to_safetensors.py", model + "/model.h5", converted])
    let dev = shared + "/data/tasks/mr/dev.tsv"
    let process = try ChildProcess.run(
      python,
      [
        shared + "/peers/torch_diff_pruning.py", "--model", converted, "--config",
        model + "/config.json", "--vocab", model + "/vocab.txt", "--train", task, "--dev", dev,
        "--method", "structured", "--bs", String(batchSize), "--max-steps", String(steps / 2),
      ])
    let line = String(decoding: process.output, as: UTF8.self).split(separator: "\n").last ?? ""
    let result = try JSONValue(parsing: Array(line.utf8))
    guard let seconds = result["stage1_s_per_step"]?.double,
      let memory = result["peak_rss_mb"]?.double
    else { throw DiffError(.unsupported, String(decoding: process.errors, as: UTF8.self)) }
    return Measured(seconds: seconds, memory: memory * 1_048_576)
  }

  /// Measures the size of a diff of 0.5 %; one epoch is enough for the fixed selection.
  private static func size(_ report: Report) throws {
    let (model, examples) = try material()
    var options = TrainingOptions()
    options.fixedEpochs = 1
    guard case .finished(let finetune) = try Trainer(model, examples, options).run({ _ in .more })
    else { return }
    let sink = MemorySink()
    let checkpoint = try CheckpointFile.open(Self.model + "/model.h5")
    let count = try finetune.write(checkpoint, into: sink, metadata: [:])
    let full = try File(Self.model + "/model.h5").size
    report.row(
      "a diff of 0.5 %, \(count) values", "\(sink.bytes.count) B",
      "the model \(full) B", ratio: Double(sink.bytes.count) / Double(full),
      bar: "≤ 295 kB")
  }

  private static func milliseconds(_ seconds: Double) -> String {
    "\((seconds * 1000).fixed(1)) ms"
  }

  private static func megabytes(_ bytes: Double) -> String {
    "\((bytes / 1_048_576).fixed(0)) MiB"
  }
}
