import DiffCommands
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// `diffkit merge` by a recipe beside mergekit, whose imports are not counted: DIFFKIT_MERGEKIT_PYTHON
/// says which interpreter has it.
struct MergekitBenchmarks {
  private let folder: String
  private let report: Report

  private static let script = Repository.path + "/Sources/DiffBenchmarks/mergekit_peer.py"

  static func run() throws {
    let report = Report("Merging by a recipe, beside mergekit")
    try SideBySide.withFolder { try MergekitBenchmarks(folder: $0, report: report).measure() }
  }

  private init(folder: String, report: Report) {
    self.folder = folder
    self.report = report
  }

  private func measure() throws {
    guard let python = ProgramFiles.environmentVariable("DIFFKIT_MERGEKIT_PYTHON") else {
      report.row("mergekit", "", "skipped: DIFFKIT_MERGEKIT_PYTHON names no Python")
      return
    }
    for (size, what) in [("small", "MiniLM-sized, f32"), ("large", "1 GB, bf16")] {
      let models = "\(folder)/mergekit"
      try Folder.create(models)
      defer { Folder.remove(models) }
      try SideBySide.child(python, [Self.script, "make", models, size])
      for name in ["a", "b", "c"] {
        try SideBySide.diffkit([
          "create", "\(models)/base", "\(models)/\(name)", "--add", "-q", "-o",
          "\(models)/\(name).diff",
        ])
      }
      try File.write(recipe(suffix: ""), to: "\(models)/recipe.yml")
      try File.write(recipe(suffix: ".diff"), to: "\(models)/diffs.yml")
      try compare(python, models, "three models, \(what), 0.5 % changed")
    }
  }

  /// Mergekit's TIES of three models.
  private func recipe(suffix: String) -> String {
    let models = ["a", "b", "c"].map { name in
      "  - {model: \(name)\(suffix), parameters: {weight: 0.4, density: 0.8}}\n"
    }
    return "merge_method: ties\nbase_model: base\nmodels:\n\(models.joined())"
  }

  private func compare(_ python: String, _ models: String, _ what: String) throws {
    var (times, peerTimes): ([Double], [Double]) = ([], [])
    var (memory, peerMemory): (UInt64, Double) = (0, 0)
    for run in 0..<4 {
      for name in ["out", "tuned"] { Folder.remove("\(models)/\(name)") }
      let time = try seconds(runs: 1) {
        for arguments in [
          ["merge", "\(models)/diffs.yml", "-o", "\(models)/m.diff", "--force", "-q"],
          ["apply", "\(models)/base", "\(models)/m.diff", "-o", "\(models)/tuned", "-q"],
        ] {
          memory = max(memory, try SideBySide.diffkit(arguments).peakMemory)
        }
      }
      let peer = try SideBySide.child(python, [Self.script, "merge", models])
      let numbers = String(decoding: peer.output, as: UTF8.self).split(separator: "\n")
        .compactMap { Double($0) }
      guard numbers.count == 2 else {
        throw DiffError(.io, "mergekit_peer.py printed no two numbers", path: Self.script)
      }
      // The first run of each reads from the device.
      guard run > 0 else { continue }
      times += time
      peerTimes.append(numbers[0])
      peerMemory = max(peerMemory, numbers[1])
    }
    report.row(
      "merge by a recipe and apply: \(what)", "\(times.median.fixed(3)) s",
      "mergekit \(peerTimes.median.fixed(2)) s", ratio: times.median / peerTimes.median,
      bar: "≤ 0.08")
    report.row(
      "peak memory of it", "\((Double(memory) / 1e6).fixed(0)) MB",
      "mergekit \((peerMemory / 1e6).fixed(0)) MB", ratio: Double(memory) / peerMemory,
      bar: "≤ 0.03")
  }
}

extension File {
  /// Makes a file of a text.
  fileprivate static func write(_ text: String, to path: String) throws(DiffError) {
    let bytes = Array(text.utf8)
    let file = try File(creating: path)
    try file.write(bytes.span, at: 0)
  }
}
