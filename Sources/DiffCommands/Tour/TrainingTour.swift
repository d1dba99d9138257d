import ArgumentParser
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// Trains a diff of 0.5 % on a task, applies it and compares it with full finetuning, with the
/// commands that a user would type: each is printed, then run.
struct TrainingTour: Tour {
  private let base, train, dev: String
  let report: ReportOptions
  var samples: [String] { [base, train, dev] }

  /// - Parameter samples: The folder of the samples.
  init(_ samples: String, _ report: ReportOptions) {
    self.report = report
    base = samples + "/minilm-l3-small/base.h5"
    train = samples + "/sms-spam/train.tsv"
    dev = samples + "/sms-spam/dev.tsv"
  }

  func run(into folder: String) throws {
    let (sparse, full) = (folder + "/sms.diff", folder + "/full.diff")
    let tuned = folder + "/sms.h5"
    try step("1  Finetune on the task so that 0.5 % of the weights change")
    try run([
      "train", base, "--task", train, "--dev", dev, "--density", "0.005", "--epochs", "2",
      "--fixed-epochs", "2", "-o", sparse,
    ])
    try step("2  For comparison: finetune all weights")
    try run([
      "train", base, "--task", train, "--dev", dev, "--method", "full", "--epochs", "2", "-o",
      full,
    ])
    try step("3  Apply the diff to the base, and verify the result")
    try run(["apply", base, sparse, "-o", tuned])
    try show(["verify", sparse, tuned])
    try step("4  Evaluate base + diff on held-out rows, then all weights")
    try show(["evaluate", base, sparse, "--task", dev])
    try show(["evaluate", base, full, "--task", dev])
    try step("5  Show where the changes are")
    try show(["stats", sparse])
    try run(["report", sparse, full, "--base", base, "-o", folder + "/report.html"])
    try report.print(
      TrainingTourOutput(
        folder: folder, base: File(base).size, sparse: TrainingTourOutput.Diff(sparse),
        full: TrainingTourOutput.Diff(full)))
  }

  /// Prints the title of a step.
  private func step(_ title: String) throws {
    try say("")
    try say(title)
  }

  /// Prints a command line, and runs it.
  private func run(_ arguments: [String]) throws {
    try say("$ diffkit " + arguments.joined(separator: " "))
    var command = try DiffKit.parseAsRoot(arguments + (isShown ? [] : ["--quiet"]))
    try command.run()
  }

  /// Prints and runs a command that only prints results, if text is shown to people.
  private func show(_ arguments: [String]) throws {
    if isShown { try run(arguments) }
  }
}

/// The output of the tour.
private struct TrainingTourOutput: CommandOutput {
  struct Diff: Encodable {
    let path: String
    let size: UInt64
    /// The accuracy of base + diff, as stored, on the dev rows.
    let accuracy: Double?

    init(_ path: String) throws {
      self.path = path
      size = try File(path).size
      accuracy = try DiffReader(path).metadata["score.accuracy"].flatMap { Double($0) }
    }
  }

  let folder: String
  /// The size of the base in bytes.
  let base: UInt64
  let sparse, full: Diff

  var text: String {
    var table = TextTable(["", "accuracy", "bytes", "of a full copy"], rightAligned: [1, 2, 3])
    for (name, diff) in [("0.5 % diff", sparse), ("all weights", full)] {
      table.add([
        name, diff.accuracy?.fixed(4) ?? "-", diff.size.grouped,
        (Double(diff.size) / Double(base)).percent,
      ])
    }
    let folder = folder.escapingControls
    return "\n" + table.text + "\nThe files are in \(folder)/; open \(folder)/report.html to see "
      + "which weights changed.\n"
  }
}
