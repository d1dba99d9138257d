#if Training
  import ArgumentParser
  import DiffFormat
  import DiffOperations
  import TensorCore

  /// Trains a diff of 0.5 % on a task, applies it and compares it with full finetuning, by the
  /// commands that a user would type: each is shown, then run.
  struct TrainingTour: Tour {
    private let base, train, dev: String
    var samples: [String] { [base, train, dev] }

    /// - Parameter samples: Their folder.
    init(_ samples: String) {
      base = samples + "/minilm-l3-small/base.h5"
      train = samples + "/sms-spam/train.tsv"
      dev = samples + "/sms-spam/dev.tsv"
    }

    func run(into folder: String) throws {
      let (sparse, full) = (folder + "/sms.diff", folder + "/full.diff")
      let tuned = folder + "/sms.h5"
      try say("1  Finetune on the task so that 0.5 % of the weights change")
      try run(
        "train", base, "--task", train, "--dev", dev, "--density", "0.005", "--epochs", "2",
        "--fixed-epochs", "2", "-o", sparse)
      try say("\n2  For comparison: let all weights change")
      try run(
        "train", base, "--task", train, "--dev", dev, "--method", "full", "--epochs", "2", "-o",
        full)
      try say("\n3  Base + diff, as a checkpoint of its own; is it right?")
      try run("apply", base, sparse, "-o", tuned)
      try run("verify", sparse, tuned)
      try say("\n4  What base + diff is worth on rows that it has not seen, then all weights")
      try run("evaluate", base, sparse, "--task", dev)
      try run("evaluate", base, full, "--task", dev)
      try say("\n5  Where the changes are")
      try run("stats", sparse)
      try run("report", sparse, full, "--base", base, "-o", folder + "/report.html")
      try say("")
      try summary([("0.5 % diff", sparse), ("all weights", full)])
      try say(
        "\nThe files are in \(folder)/; open \(folder)/report.html to see where the diffs live.")
    }

    /// Shows a command line, and runs it.
    private func run(_ arguments: String...) throws {
      try say("$ diffkit " + arguments.joined(separator: " "))
      var command = try DiffKit.parseAsRoot(arguments)
      try command.run()
    }

    /// Score and size of each diff, beside a full copy.
    private func summary(_ diffs: [(name: String, path: String)]) throws {
      let copy = try File(base).size
      var table = TextTable(
        ["", "accuracy", "bytes", "of a full copy"], rightAligned: [1, 2, 3])
      for (name, path) in diffs {
        let size = try File(path).size
        let accuracy = try DiffReader(path).metadata["score.accuracy"].flatMap { Double($0) }
        table.add([
          name, accuracy?.fixed(4) ?? "-", size.grouped, (Double(size) / Double(copy)).percent,
        ])
      }
      try StandardOutput.write(table.text)
    }
  }
#endif
