import ArgumentParser
import DiffOperations
import TensorCore

/// The command line: `diffkit SUBCOMMAND …`.
struct DiffKit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diffkit",
    abstract: "Create, apply, revert, inspect and compare sparse diffs of model checkpoints.",
    discussion: """
      A diff stores what a finetune changed: positions, and new bits or float16 additions.

      Exit codes: 0 done or same, 1 different, 2 error. With --json, every command prints its \
      results as JSON (spec/output.schema.json). For shell completion: \
      diffkit --generate-completion-script bash (or zsh, fish).

        diffkit create base.h5 tuned.h5 -o task.diff
        diffkit apply base.h5 task.diff -o tuned.h5
      """,
    version: DiffKitVersion.current,
    groupedSubcommands: [
      CommandGroup(
        name: "Basic",
        subcommands: [
          CreateCommand.self, ApplyCommand.self, RevertCommand.self, RecoverCommand.self,
          VerifyCommand.self,
        ]),
      CommandGroup(
        name: "Inspection",
        subcommands: [
          InspectCommand.self, StatsCommand.self, CompareCommand.self, ReportCommand.self,
        ]),
      CommandGroup(
        name: "Training",
        subcommands: [TrainCommand.self, EvaluateCommand.self, PredictCommand.self]),
      CommandGroup(
        name: "Combination",
        subcommands: [
          MergeCommand.self, ComposeCommand.self, PruneCommand.self, ScaleCommand.self,
          ExtractCommand.self, ConvertCommand.self,
        ]),
      CommandGroup(name: "Store", subcommands: [StoreCommand.self]),
      CommandGroup(name: "Tutorial", subcommands: [QuickstartCommand.self]),
    ])
}

/// A nonzero exit code of a command that has already printed its output.
enum ExitStatus: Int32, Error {
  case different = 1
  case trouble = 2
}
