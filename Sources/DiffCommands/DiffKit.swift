import ArgumentParser
import DiffOperations
import TensorCore

/// The command line: `diffkit SUBCOMMAND …`.
struct DiffKit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diffkit",
    abstract: "Sparse diffs of model checkpoints: make, apply, revert, look into, compare.",
    discussion: """
      A diff holds what a finetune changed: positions and new bits, or float16 additions.

      Exit codes: 0 done or same, 1 different, 2 trouble. With --json every command prints what it \
      did or found as JSON (spec/output.schema.json). Names completed by your shell: \
      diffkit --generate-completion-script bash (or zsh, fish).

        diffkit create base.h5 tuned.h5 -o task.diff
        diffkit apply base.h5 task.diff -o tuned.h5
      """,
    version: DiffKitVersion.current,
    groupedSubcommands: [
      CommandGroup(
        name: "Everyday",
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
      CommandGroup(name: "Many versions", subcommands: [StoreCommand.self]),
      CommandGroup(name: "First-step", subcommands: [QuickstartCommand.self]),
    ])
}

/// Ends a command with another exit code than 0, everything having been said.
enum ExitStatus: Int32, Error {
  case different = 1
  case trouble = 2
}
