import DiffCommands
import DiffTraining
import SystemSupport
import TensorCore
import TestSupport

/// What more ranks and machines bring: measured on this machine, held against a model of the time of
/// a step, and extrapolated by it. `spec/SCALING.md` explains the model.
struct ScalingBenchmarks {
  static func run() throws {
    guard Ranks.areIncluded else {
      return print("\nscaling: needs a build with the trait Distributed; skipped")
    }
    let cores = ProcessorCount.online
    let report = Report("Ranks on this machine of \(cores) cores, batches of 16 × 32 tokens")
    var links: [Int: Link] = [:]
    for ranks in [2, 4] {
      let link = try Link(fitting: measureSums(ranks))
      links[ranks] = link
      report.row(
        "a sum by \(ranks) ranks: latency, then bytes a second",
        "\((link.latency * 1e6).fixed(0)) µs, \((link.bandwidth * 1e-9).fixed(2)) GB/s")
    }
    var costs: [String: Costs] = [:]
    try SideBySide.withFolder { folder in
      for shape in [BertShape.small, .base] {
        let files = folder + "/" + shape.name
        try SideBySide.child("mkdir", [files])
        try SideBySide.child(ProgramArguments.words[0], ["bert-make", shape.name, files])
        costs[shape.name] = try measure(shape, files, links, cores, report)
      }
    }
    guard let base = costs[BertShape.base.name] else { return }
    costs[BertShape.large.name] = base.scaled(from: .base, to: .large)
    for shape in [BertShape.small, .base, .large] {
      guard let costs = costs[shape.name] else { continue }
      extrapolate(shape, costs)
    }
  }

  // MARK: The model

  /// How long a sum takes: `latency + bytes / bandwidth`, for what each rank hands to MPI.
  struct Link {
    let latency, bandwidth: Double

    init(latency: Double, bandwidth: Double) {
      (self.latency, self.bandwidth) = (latency, bandwidth)
    }

    /// The smallest sum is the latency; the largest, less that, the bandwidth.
    init(fitting points: [(bytes: Double, seconds: Double)]) throws {
      guard let first = points.first, let last = points.last, points.count > 1 else {
        throw DiffError(.io, "no sums were measured")
      }
      latency = first.seconds
      bandwidth = last.bytes / max(1e-9, last.seconds - latency)
    }

    /// Ranks on hosts of a network: in either half of a sum a rank sends, and gets, all but its own
    /// part; messages of a half start together.
    init(hosts: Int, gigabits: Double, messageLatency: Double) {
      let share = Double(hosts - 1) / Double(hosts)
      // Nine tenths of a wire are payload.
      let wire = 0.9 * gigabits / 8 * 1e9
      self.init(latency: 2 * messageLatency, bandwidth: wire / (2 * share))
    }

    func seconds(_ bytes: Double) -> Double { latency + bytes / bandwidth }
  }

  /// What a step costs one rank: a part for each row, a part whatever the rows, payload bytes.
  struct Costs {
    struct Stage {
      var row, fixed, bytes: Double

      /// The seconds of a step: two thirds of the rows' time, the way back, hide transfers, but not
      /// the last block of 4 MiB.
      func seconds(rows: Double, _ link: Link?) -> Double {
        let work = rows * row
        guard let link else { return fixed + work }
        let sum = link.seconds(bytes)
        return fixed + work + max(sum - 2 / 3 * work, min(sum, link.seconds(min(bytes, 4_194_304))))
      }
    }
    var gates, fixed: Stage

    /// Rows cost what the layers do; the rest what all elements do.
    func scaled(from one: BertShape, to other: BertShape) -> Costs {
      let dense = Double(other.dense) / Double(one.dense)
      let all = Double(other.elements) / Double(one.elements)
      func scaled(_ stage: Stage) -> Stage {
        Stage(row: stage.row * dense, fixed: stage.fixed * all, bytes: stage.bytes * all)
      }
      return Costs(gates: scaled(gates), fixed: scaled(fixed))
    }
  }

  // MARK: Measuring

  private static func ranked(_ ranks: Int, _ arguments: [String]) throws -> [[Substring]] {
    let program = [ProgramArguments.words[0], "ranked-run"] + arguments
    let child =
      ranks == 1
      ? try SideBySide.child(program[0], Array(program.dropFirst()))
      : try SideBySide.child(
        "mpirun",
        [
          "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "\(ranks)", "--mca",
          "btl", "self,vader",
        ] + program)
    return String(decoding: child.output, as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ")
    }
  }

  private static func measureSums(_ ranks: Int) throws -> [(bytes: Double, seconds: Double)] {
    try ranked(ranks, ["sums"]).compactMap { words in
      guard words.count == 2, let bytes = Double(words[0]), let seconds = Double(words[1])
      else { return nil }
      return (bytes, seconds)
    }
  }

  /// The median seconds and the payload bytes of a step of both stages.
  private static func steps(
    _ folder: String, ranks: Int, threads: Int, batch: Int = 16
  ) throws -> [(seconds: Double, bytes: Double)] {
    let lines = try ranked(ranks, ["steps", folder, "\(batch)", "\(threads)"])
    let steps = lines.compactMap { words -> (Double, Double)? in
      guard words.count == 3, let seconds = Double(words[1]), let bytes = Double(words[2])
      else { return nil }
      return (seconds, bytes)
    }
    guard steps.count == 2 else { throw DiffError(.io, "printed no steps") }
    return steps
  }

  /// Measures a shape with 1, 2 and 4 ranks, beside what the model says.
  ///
  /// - Returns: The costs of a rank with all cores.
  private static func measure(
    _ shape: BertShape, _ folder: String, _ links: [Int: Link], _ cores: Int, _ report: Report
  ) throws -> Costs {
    /// The costs of a rank with some threads, alone on the machine.
    func costs(threads: Int) throws -> Costs {
      let (few, many) = (
        try steps(folder, ranks: 1, threads: threads, batch: 4),
        try steps(folder, ranks: 1, threads: threads, batch: 16)
      )
      func stage(_ index: Int) -> Costs.Stage {
        let row = max(0, many[index].seconds - few[index].seconds) / 12
        return Costs.Stage(
          row: row, fixed: max(0, many[index].seconds - 16 * row), bytes: 0)
      }
      return Costs(gates: stage(0), fixed: stage(1))
    }
    var whole = try costs(threads: cores)
    let single = try costs(threads: 1)
    let alone = try steps(folder, ranks: 1, threads: cores)
    for ranks in [2, 4] {
      let threads = max(1, cores / ranks)
      let measured = try steps(folder, ranks: ranks, threads: threads)
      if ranks == 2 {
        (whole.gates.bytes, whole.fixed.bytes) = (measured[0].bytes, measured[1].bytes)
      }
      for (index, name) in ["gates", "selection"].enumerated() {
        var stage = index == 0 ? single.gates : single.fixed
        stage.bytes = measured[index].bytes
        // More ranks than cores take turns.
        let turns = max(1, Double(ranks) / Double(cores))
        let predicted = turns * stage.seconds(rows: 16 / Double(ranks), links[ranks])
        report.row(
          "\(shape.name), \(name): a step of \(ranks) ranks × \(threads)",
          "\((measured[index].seconds * 1e3).fixed(1)) ms, \((measured[index].bytes / 1e3).fixed(1)) kB",
          "1 rank × \(cores): \((alone[index].seconds * 1e3).fixed(1)) ms; the model: "
            + "\((predicted * 1e3).fixed(1)) ms",
          ratio: measured[index].seconds / alone[index].seconds,
          bar: ranks == 2 && index == 0 && shape.name == BertShape.small.name ? "≤ 1.15" : "")
      }
    }
    return whole
  }

  // MARK: Extrapolating

  private static func extrapolate(_ shape: BertShape, _ costs: Costs) {
    print("\n### \(shape.name), a rank on each host, in times the speed of one host\n")
    print("| stage, batch, network | 2 | 4 | 8 | 16 | 32 | 64 hosts |")
    print("|---|---|---|---|---|---|---|")
    for (name, stage) in [("gates", costs.gates), ("selection", costs.fixed)] {
      for batch in [64.0, 512] {
        for (gigabits, latency) in [(10.0, 30e-6), (100, 5e-6)] {
          let alone = stage.seconds(rows: batch, nil)
          let cells = [2, 4, 8, 16, 32, 64].map { hosts in
            let link = Link(hosts: hosts, gigabits: gigabits, messageLatency: latency)
            return (alone / stage.seconds(rows: batch / Double(hosts), link)).fixed(1)
          }
          let row = "\(name), \(batch.fixed(0)), \(gigabits.fixed(0)) Gbit/s"
          print("| \(row) | \(cells.joined(separator: " | ")) |")
        }
      }
    }
  }
}
