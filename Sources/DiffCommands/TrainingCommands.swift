import ArgumentParser
import TensorCore

#if Training
/// The commands that need a training engine.
let trainingCommands: [any ParsableCommand.Type] = [
  TrainCommand.self, EvaluateCommand.self, PredictCommand.self,
]
#else
/// The commands that need a training engine, which this build lacks: they say so.
let trainingCommands: [any ParsableCommand.Type] = [
  MissingTrain.self, MissingEvaluate.self, MissingPredict.self,
]

/// A command of a build with the trait `Training`.
protocol MissingCommand: ParsableCommand {
  var arguments: [String] { get }
}

extension MissingCommand {
  func run() throws {
    throw DiffError(
      .unsupported,
      "'\(Self._commandName)' is not in this build: install oneDNN (libdnnl-dev) and build with "
        + "the package's default traits, which include Training")
  }
}

struct MissingTrain: MissingCommand {
  static let configuration = CommandConfiguration(commandName: "train", shouldDisplay: false)
  @Argument(parsing: .allUnrecognized) var arguments: [String] = []
}

struct MissingEvaluate: MissingCommand {
  static let configuration = CommandConfiguration(commandName: "evaluate", shouldDisplay: false)
  @Argument(parsing: .allUnrecognized) var arguments: [String] = []
}

struct MissingPredict: MissingCommand {
  static let configuration = CommandConfiguration(commandName: "predict", shouldDisplay: false)
  @Argument(parsing: .allUnrecognized) var arguments: [String] = []
}
#endif
