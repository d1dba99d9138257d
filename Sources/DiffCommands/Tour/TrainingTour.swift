import ArgumentParser
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// Trains a diff of 0.5 % on a task, applies it and compares it with full finetuning, by the
/// commands that a user would type: each is shown, then run.
struct TrainingTour: Tour {
  private let base, train, dev: String
  let report: ReportOptions
  var samples: [String] { [base, train, dev] }

  /// - Parameter samples: Their folder.
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
    try step("2  For comparison: let all weights change")
    try run([
      "train", base, "--task", train, "--dev", dev, "--method", "full", "--epochs", "2", "-o",
      full,
    ])
    try step("3  Base + diff, as a checkpoint of its own; is it right?")
    try run(["apply", base, sparse, "-o", tuned])
    try show(["verify", sparse, tuned])
    try step("4  What base + diff is worth on rows that it has not seen, then all weights")
    try show(["evaluate", base, sparse, "--task", dev])
    try show(["evaluate", base, full, "--task", dev])
    try step("5  Where the changes are")
    try show(["stats", sparse])
    try run(["report", sparse, full, "--base", base, "-o", folder + "/report.html"])
    try report.print(
      TrainingTourOutput(
        folder: folder, base: File(base).size, sparse: TrainingTourOutput.Diff(sparse),
        full: TrainingTourOutput.Diff(full)))
  }

  /// Begins a step.
  private func step(_ title: String) throws {
    try say("")
    try say(title)
  }

  /// Shows a command line, and runs it.
  private func run(_ arguments: [String]) throws {
    try say("$ diffkit " + arguments.joined(separator: " "))
    var command = try DiffKit.parseAsRoot(arguments + (isShown ? [] : ["--quiet"]))
    try command.run()
  }

  /// The same for a command that only tells something.
  private func show(_ arguments: [String]) throws {
    if isShown { try run(arguments) }
  }
}

/// What the tour comes to.
private struct TrainingTourOutput: CommandOutput {
  struct Diff: Encodable {
    let path: String
    let size: UInt64
    /// Of base and diff, as stored, on the dev rows.
    let accuracy: Double?

    init(_ path: String) throws {
      self.path = path
      size = try File(path).size
      accuracy = try DiffReader(path).metadata["score.accuracy"].flatMap { Double($0) }
    }
  }

  let folder: String
  /// Bytes of the base.
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
      + "where the diffs live.\n"
  }
}
