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

  @Argument(help: "The checkpoint.") var checkpoint: String

  @Flag(help: "Restore the old bytes even where something else than old or new ones is found.")
  var force = false

  @OptionGroup var quiet: QuietOption

  func run() throws {
    switch try recover(checkpoint, forced: force) {
    case .restored(let files):
      try quiet.say("\(checkpoint): restored" + (files == 1 ? "" : ", \(files) files"))
    case .nothingToDo: try quiet.say("\(checkpoint): no change was interrupted, nothing to do")
    }
  }
}
