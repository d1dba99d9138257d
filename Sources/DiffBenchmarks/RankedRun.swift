import DiffTraining
import SystemSupport
import TensorCore

/// A measurement by one or several ranks, started by `mpirun` or alone. The first rank prints.
struct RankedRun {
  /// - Parameter arguments: `sums`; or `steps`, a model of `BertShape`, how many examples a batch
  ///   has, and how many threads a rank.
  static func run(_ arguments: [String]) throws {
    let ranks = try Ranks.joined()
    if arguments.first == "sums" {
      try sums(ranks)
    } else if arguments.count == 4, let batch = Int(arguments[2]), let threads = Int(arguments[3]) {
      try steps(arguments[1], batch: batch, threads: threads, ranks)
    } else {
      throw DiffError(.usage, "no such measurement")
    }
    ranks.finish()
  }

  /// Prints bytes and the median of the seconds of their sum, a line for each size.
  private static func sums(_ ranks: Ranks) throws {
    for power in stride(from: 8, through: 22, by: 2) {
      var layout = ParameterLayout()
      guard let shape = Shape([UInt64(1) << UInt64(power)]) else { return }
      try layout.append("x", shape)
      let gradients = Gradients(layout)
      let sum = GradientSum(gradients, .parameters([0]), ranks)
      let times = try seconds(runs: 40) {
        sum.begin()
        try sum.finish()
      }
      if ranks.isFirst { print(4 << power, times.dropFirst(10).map(\.self).median) }
    }
  }

  /// Prints the stage, the median of the seconds of a step, and its payload bytes.
  private static func steps(
    _ folder: String, batch: Int, threads: Int, _ ranks: Ranks
  ) throws {
    var options = TrainingOptions()
    options.batchSize = batch
    (options.epochs, options.fixedEpochs) = (1, 1)
    let model = try BertShape.open(folder, Engine(threads: threads))
    let trainer = try Trainer(model, BertShape.examples(12 * batch), options)
    trainer.ranks = ranks
    var times: [TrainingProgress.Stage: [Double]] = [:]
    var bytes: [TrainingProgress.Stage: UInt64] = [:]
    let clock = ContinuousClock()
    var last = clock.now
    _ = try trainer.run { progress in
      times[progress.stage, default: []].append((clock.now - last) / .seconds(1))
      bytes[progress.stage] = progress.traffic ?? 0
      last = clock.now
      return .more
    }
    guard ranks.isFirst else { return }
    for stage in [TrainingProgress.Stage.gates, .fixed] {
      let median = times[stage, default: []].dropFirst(4).map(\.self).median
      print(stage.rawValue, median, bytes[stage] ?? 0)
    }
  }
}
