import ArgumentParser
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit scale`.
struct ScaleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scale",
    abstract: "Multiply all changes of an additive diff.",
    discussion: """
      A power of two is exact: only the scale of each tensor changes.

        diffkit scale task.diff 0.5 -o half.diff
        diffkit scale task.diff -o inverse.diff -- -1
      """)

  @Argument(help: "The diff.", completion: .file()) var diff: String
  @Argument(help: "The factor.") var factor: Double
  @OptionGroup var outputs: OutputOptions

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    let path = outputs.path(after: diff, "scaled")
    try check(output: path, isNoneOf: [diff])
    let reader = try openDiff(diff)
    try writeDiff(path, force: outputs.force) { sink in
      try Diffs.scale(reader, by: factor, into: sink, profile: profile, metadata: metadata.values)
    } report: { summary, _ in
      try report.print(
        ScaleOutput(
          output: path, factor: factor, changes: summary.changes, rounded: summary.rounded))
    }
  }
}

/// The output of `scale`.
private struct ScaleOutput: CommandOutput {
  let output: String
  let factor: Double
  let changes, rounded: UInt64

  var text: String {
    let rounding = rounded == 0 ? "exactly" : "\(rounded.grouped) of them rounded"
    return
      "\(output.escapingControls): \(changes.counted("change")) multiplied by \(factor), "
      + "\(rounding)\n"
  }
}
