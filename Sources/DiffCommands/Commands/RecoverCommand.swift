import ArgumentParser
import Checkpoints

/// `diffkit recover`.
struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Restore a checkpoint that was being changed in place when that was interrupted.",
    discussion: """
      The file becomes the one that it was before, out of the journal beside it \
      (NAME\(Journal.suffix)). It may be interrupted itself, and run again.

        diffkit recover model.h5
      """)

  @Argument(help: "The checkpoint.", completion: .file()) var checkpoint: String

  @Flag(help: "Restore the old bytes even where something else than old or new ones is found.")
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
  /// How many files were restored; none if no change was interrupted.
  let files: Int

  init(_ checkpoint: String, _ outcome: RecoverOutcome) {
    self.checkpoint = checkpoint
    if case .restored(let files) = outcome { self.files = files } else { files = 0 }
  }

  var text: String {
    let what =
      files == 0
      ? "no change was interrupted, nothing to do"
      : files == 1 ? "restored" : "restored, \(files) files"
    return "\(checkpoint): \(what)".escapingControls + "\n"
  }
}
