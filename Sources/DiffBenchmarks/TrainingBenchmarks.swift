import DiffCommands
import DiffTraining
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// Training of MiniLM-L6, compared with PyTorch; each measurement runs in its own process, in
/// turns. `DIFFKIT_PEERS_PYTHON` names a Python that has torch, transformers and h5py.
struct TrainingBenchmarks {
  static let shared = "../shared/data"
  static let reviews = shared + "/tasks/mr/train.2k.tsv"
  private static let runs = 3

  static func run() throws {
    guard File.exists(reviews) else { return print("\ntraining: needs \(shared); skipped") }
    let report = Report("Training MiniLM-L6, batches of \(TrainingRun.batchSize), all cores")
    let python = Peers.python
    if python == nil {
      report.row("PyTorch", "", "skipped: DIFFKIT_PEERS_PYTHON is not set")
    }
    for (kind, what, bar) in [
      (TrainingRun.Kind.train, "mr/train.2k, forward + backward + AdamW", "≤ 0.4"),
      (.infer, "mr/train.2k, inference", "≤ 0.4"),
      (.train128, "length 128, forward + backward + AdamW", "< 1"),
    ] {
      var (ours, halves, theirs): ([Measurement], [Measurement], [Measurement]) = ([], [], [])
      for _ in 0..<runs {
        ours.append(try measure(ProgramArguments.words[0], ["training-run", kind.rawValue]))
        if Precision.bf16.isAvailable {
          halves.append(
            try measure(ProgramArguments.words[0], ["training-run", kind.rawValue, "bf16"]))
        }
        if let python { theirs.append(try measurePeer(python, kind)) }
      }
      let (mine, peer) = (ours.map(\.seconds).median, theirs.map(\.seconds).median)
      let (memory, peerMemory) = (ours.map(\.megabytes).median, theirs.map(\.megabytes).median)
      guard python != nil else {
        report.row(what, "\((mine * 1e3).fixed(1)) ms, \(memory.fixed(0)) MB", bar: bar)
        continue
      }
      report.row(
        what, "\((mine * 1e3).fixed(1)) ms", "PyTorch, padded: \((peer * 1e3).fixed(1)) ms",
        ratio: mine / peer, bar: bar)
      report.row(
        "the same, peak memory", "\(memory.fixed(0)) MB", "PyTorch \(peerMemory.fixed(0)) MB",
        ratio: memory / peerMemory, bar: "≤ 0.6")
      if !halves.isEmpty {
        let half = halves.map(\.seconds).median
        report.row(
          "the same with --precision bf16", "\((half * 1e3).fixed(1)) ms",
          "f32: \((mine * 1e3).fixed(1)) ms", ratio: half / mine, bar: "")
      }
      if kind == .train128 { try products(report, seconds: mine) }
    }
  }

  /// Reports the share of the speed of large matrix products that a step at length 128 reaches.
  private static func products(_ report: Report, seconds: Double) throws {
    let peak = try measure(ProgramArguments.words[0], ["training-run", "products"])
    let greatest = 2 * pow(2048.0, 3) / peak.seconds
    let reached = operations(tokens: 128) / seconds
    report.row(
      "length 128, products a second",
      "\((reached * 1e-9).fixed(0)) GFLOP/s", "of 2048 × 2048: \((greatest * 1e-9).fixed(0))",
      ratio: reached / greatest, bar: "≥ 0.7")
  }

  /// Returns the number of additions and multiplications in the matrix products of a step with
  /// sequences of one length, without those of the last layer beyond the first token, which are not
  /// computed.
  private static func operations(tokens: Double) -> Double {
    let (layers, width, inner) = (6.0, 384.0, 1536.0)
    let sequences = Double(TrainingRun.batchSize)
    let all = sequences * tokens
    let halves = 2 * width * width + 2 * width * inner  // query, output, and the second half
    let keys = 2 * width * width
    let whole = all * (halves + keys) + 2 * all * tokens * width
    let last = sequences * halves + all * keys + 2 * all * width
    return 3 * 2 * ((layers - 1) * whole + last + sequences * width * width)
  }

  private struct Measurement {
    let seconds, megabytes: Double
  }

  private static func measurePeer(
    _ python: String, _ kind: TrainingRun.Kind
  ) throws -> Measurement {
    let script = String(#filePath.dropLast("TrainingBenchmarks.swift".count)) + "training_peer.py"
    return try measure(
      python,
      [
        script, kind.rawValue, shared, "\(TrainingRun.batchSize)", "\(kind.batches)",
      ])
  }

  private static func measure(_ program: String, _ arguments: [String]) throws -> Measurement {
    let child = try SideBySide.child(program, arguments)
    let text = String(decoding: child.output, as: UTF8.self)
    guard let seconds = Double(text.filter { !$0.isWhitespace }) else {
      throw DiffError(.io, "printed no number: \(text)", path: program)
    }
    return Measurement(seconds: seconds, megabytes: Double(child.peakMemory) / 1e6)
  }
}
