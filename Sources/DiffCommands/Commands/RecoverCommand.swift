import ArgumentParser
import Checkpoints

/// `diffkit recover`.
struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Complete a change of a checkpoint in place that was interrupted.",
    discussion: """
      The file becomes the one that it was to be, out of the journal beside it \
      (NAME\(Journal.suffix)); out of a journal of diffkit 1.0, the one that it was before. It may \
      be interrupted itself, and run again. The elements that change get their new bits; that the \
      rest is sound only 'diffkit verify' can find out.

        diffkit recover model.h5
      """)

  @Argument(help: "The checkpoint.", completion: .file()) var checkpoint: String

  @Flag(
    help: """
      Do not check whether it is the file that was being changed, by its size and a sample of its \
      old bytes.
      """)
  var force = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    try report.print(
      RecoverOutput(checkpoint, try CheckpointFile.recover(checkpoint, forced: force)))
  }
}

/// What `recover` says.
private struct RecoverOutput: CommandOutput {
  let checkpoint: String
  /// How many files were recovered; none if no change was interrupted.
  let files: Int
  /// Those of them that are as they were before the change.
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
