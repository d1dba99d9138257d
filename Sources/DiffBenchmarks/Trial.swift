import DiffCommands
import DiffTraining
import TensorCore

/// One training with given settings, reported in detail, to find good settings.
///
///     DiffBenchmarks trial task=sms-spam method=structured lr=1e-3
enum Trial {
  static func run(_ arguments: [String]) throws {
    var given: [String: String] = [:]
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      given[parts[0]] = parts.count > 1 ? parts[1] : ""
    }
    let trial = try TrainingTrial(
      model: "../shared/data/models/" + (given["model"] ?? "minilm-l3-small"),
      task: "../shared/data/tasks/" + (given["task"] ?? "sms-spam"),
      rows: given["rows"] ?? "train.2k",
      pooling: EncoderModel.Pooling(rawValue: given["pooling"] ?? "") ?? .pooler,
      threads: given["threads"].flatMap { Int($0) },
      precision: Precision(rawValue: given["precision"] ?? "") ?? .f32)
    var options = TrainingOptions()
    options.method = TrainingOptions.Method(rawValue: given["method"] ?? "") ?? .structured
    options.slope = GateSlope(rawValue: given["gate-slope"] ?? "") ?? options.slope
    func set<Value: LosslessStringConvertible>(
      _ name: String, _ path: WritableKeyPath<TrainingOptions, Value>
    ) {
      if let value = given[name].flatMap({ Value($0) }) { options[keyPath: path] = value }
    }
    set("density", \.density)
    set("start", \.start)
    set("landing", \.landing)
    set("lr-gates", \.gateLearningRate)
    set("lr-groups", \.groupLearningRate)
    set("lr-head", \.headLearningRate)
    set("warm-up", \.warmUp)
    set("batch", \.batchSize)
    set("seed", \.seed)
    set("grouping", \.grouping)
    if let lambda = given["lambda"].flatMap(Double.init) { options.lambda = lambda }
    options.learningRate = given["lr"].flatMap(Double.init)
    options.fixedLearningRate = given["lr-fixed"].flatMap(Double.init)
    options.epochs = given["epochs"].flatMap { Int($0) }
    options.fixedEpochs = given["fixed-epochs"].flatMap { Int($0) }
    var loss = 0.0
    var steps = 0
    let result = try trial.run(options, evaluatingEpochs: given["quiet"] == nil) { progress in
      loss += progress.loss
      steps += 1
      guard given["quiet"] == nil, progress.step % 25 == 0 || progress.scores != nil else {
        return
      }
      func short(_ number: Double?) -> String { number.map { "\(Float16($0))" } ?? "-" }
      print(
        progress.stage.rawValue, progress.step, "loss", short(loss / Double(steps)), "lambda",
        progress.lambda.map { "\(Float($0))" } ?? "-", "E", short(progress.expectedDensity),
        "open", short(progress.openDensity), "norm", short(progress.norm),
        progress.scores.map { "\($0)" } ?? "")
      (loss, steps) = (0, 0)
    }
    print(
      "HELD OUT", arguments.joined(separator: " "), result.held, "before",
      result.finetune.densityBefore.map { $0.fixed(5) } ?? "-", "positions",
      result.finetune.positions.count, "bytes", result.bytes, "seconds", result.seconds.fixed(0))
  }
}
