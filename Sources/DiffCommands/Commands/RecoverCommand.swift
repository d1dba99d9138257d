import ArgumentParser
import Checkpoints

/// `diffkit recover`.
struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Complete an interrupted change of a checkpoint in place.",
    discussion: """
      The change is completed from the journal beside the file (NAME\(Journal.suffix)); a journal \
      of diffkit 1.0 restores the old file instead. 'recover' may be interrupted and run again. \
      Only the elements that change are written; check the others with 'diffkit verify'.

        diffkit recover model.h5
      """)

  @Argument(help: "The checkpoint.", completion: .file()) var checkpoint: String

  @Flag(
    help: """
      Do not check by size and a sample of old bytes that this is the file that was being changed.
      """)
  var force = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.print(
      RecoverOutput(checkpoint, try CheckpointFile.recover(checkpoint, forced: force)))
  }
}

/// The output of `recover`.
private struct RecoverOutput: CommandOutput {
  let checkpoint: String
  /// The number of recovered files; 0 if no change was interrupted.
  let files: Int
  /// The number of them that were restored to their state before the change.
  let restored: Int

  init(_ checkpoint: String, _ outcome: RecoverOutcome) {
    self.checkpoint = checkpoint
    files = outcome.completed + outcome.restored
    restored = outcome.restored
  }

  var text: String {
    let outcomes = [(files - restored, "completed"), (restored, "restored")].filter { $0.0 > 0 }
    let what = outcomes.map { $0.0 == 1 ? $0.1 : "\($0.1), \($0.0) files" }
    let text =
      what.isEmpty ? "no change was interrupted, nothing to do" : what.joined(separator: "; ")
    return "\(checkpoint): \(text)".escapingControls + "\n"
  }
}
