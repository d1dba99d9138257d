import DiffCommands
import DiffFormat
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// `merge --tune` over three tasks of the shared folder, with diffs of MiniLM-L6 that are trained here.
struct TuningBenchmarks {
  private let folder: String
  private let report: Report

  private static let tasks = ["mr", "cr", "subj"]

  static func run() throws {
    let report = Report("Merging with weights by score")
    try SideBySide.withFolder { try TuningBenchmarks(folder: $0, report: report).measure() }
  }

  private init(folder: String, report: Report) {
    self.folder = folder
    self.report = report
  }

  private func measure() throws {
    let model = Repository.shared + "/models/minilm-l6/model.h5"
    guard File.exists(model) else {
      report.row("tune", "", "skipped: ../shared/data/models/minilm-l6 is absent")
      return
    }
    var diffs: [String] = []
    for task in Self.tasks {
      let path = "\(folder)/\(task).diff"
      try SideBySide.diffkit([
        "train", model, "--task", rows(task, "train.2k"), "--method", "magnitude", "--density",
        "0.005", "--epochs", "1", "--fixed-epochs", "1", "-q", "-o", path,
      ])
      diffs.append(path)
    }
    let merged = "\(folder)/tuned.diff"
    let time = try seconds(runs: 1) {
      try SideBySide.diffkit(
        ["merge"] + diffs + Self.tasks.flatMap { ["--tune", rows($0, "dev")] }
          + ["--base", model, "--head", "drop", "-q", "-o", merged])
    }[0]
    let metadata = try DiffReader(merged).metadata
    let scores = ["held-out", "held-out-one-weight"].map {
      metadata["diffkit.merge.tune.\($0)"].flatMap { Double($0) } ?? .nan
    }
    report.row(
      "tune over \(Self.tasks.joined(separator: ", ")), 0.5 % diffs of MiniLM-L6",
      "\(time.fixed(0)) s", ratio: time / 180, bar: "≤ 1 (of 3 minutes)")
    let interval = metadata["diffkit.merge.tune.held-out-interval"] ?? "none"
    report.row(
      "mean score on the rows not tuned on", "\(scores[0])",
      "one weight: \(scores[1]); 95 % interval of the difference: \(interval)",
      ratio: scores[0] / scores[1], bar: "≥ 1, or 0 in the interval")
  }

  private func rows(_ task: String, _ name: String) -> String {
    Repository.shared + "/tasks/\(task)/\(name).tsv"
  }
}
