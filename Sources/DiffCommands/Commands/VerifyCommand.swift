import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit verify`.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check every byte of a diff, and whether a checkpoint is its base or result.",
    discussion: """
      Exit code 0: the diff is sound, and the checkpoint, if given, is its base or its result.
      Exit code 1: the checkpoint is neither. Exit code 2: the diff is damaged, or there was \
      another error; the message ends with its class (spec/FORMAT.md, section 10). '-' is a diff \
      on standard input, and the diff may be on a server (http, https, s3).

        diffkit verify task.diff
        diffkit verify task.diff base.h5 --verify touched
      """)

  @Argument(help: "The diff.", completion: .file()) var diff: String
  @Argument(help: "A checkpoint to compare with.", completion: .file()) var checkpoint: String?

  @Option(help: "full: whole tensors; touched: only the elements that change (exact diffs).")
  var verify = Verification.full

  @OptionGroup var map: MapOption
  @OptionGroup var network: NetworkOptions
  @OptionGroup var options: ReportOptions

  func run() throws {
    let names = try map.read()
    let reader = try openDiff(diff, network.remote)
    let report = try Diffs.verify(
      reader, against: try checkpoint.map { try CheckpointFile.open($0) }, verify, names: names,
      progress: options.progress.show)
    let output = VerifyOutput(
      path: reader.path ?? "", identity: reader.identity.description, entries: report.entries,
      pages: report.pages, values: report.values, base: reader.checkpoints?.base.description,
      result: reader.checkpoints?.result.description, checkpoint: checkpoint,
      state: report.checkpoint?.rawValue, differing: report.differing.map(\.description),
      differingCount: report.differingCount, vainRules: names.unused(by: reader.map(\.name)))
    try options.print(output)
    if report.checkpoint == .different || report.checkpoint == .partlyApplied {
      throw ExitStatus.different
    }
  }
}

/// The output of `verify`.
private struct VerifyOutput: CommandOutput {
  let path, identity: String
  let entries, pages: Int
  let values: UInt64
  /// The fingerprints of the whole base and of the whole result, as stored in the diff.
  let base, result: String?
  let checkpoint, state: String?
  /// The first ten names; `differingCount` counts all.
  let differing: [String]
  let differingCount: Int
  /// Rules of `--map` that no name of the diff matches.
  let vainRules: [String]

  var text: String {
    var out =
      "\(path.escapingControls): sound; \(entries.counted("tensor")), "
      + "\(values.counted("value")) in \(pages.counted("page")), identity \(identity)\n"
    if let base, let result { out += "checkpoints: \(base) → \(result)\n" }
    out += MapOption.text(vainRules: vainRules)
    guard let checkpoint = checkpoint?.escapingControls else { return out }
    // The diff does not cover other tensors or other objects.
    let scope = " (\(entries.counted("tensor")) of the diff compared, nothing else)"
    switch state {
    case "base": out += "\(checkpoint): is the base\(scope)\n"
    case "applied":
      out += "\(checkpoint): is the result, the diff is already applied\(scope)\n"
    case "partly-applied": out += "\(checkpoint): partly applied; start from the base\n"
    default:
      out += "\(checkpoint): is neither base nor result\n"
      for name in differing { out += "  differs: \(name.escapingControls)\n" }
      let more = differingCount - differing.count
      if more > 0 { out += "  and \(more.counted("more tensor"))\n" }
    }
    return out
  }
}
