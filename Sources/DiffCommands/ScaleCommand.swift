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

  @Argument(help: "The diff.") var diff: String
  @Argument(help: "The factor.") var factor: Double
  @OptionGroup var outputs: OutputOptions

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @OptionGroup var quiet: QuietOption

  func run() throws {
    let path = outputs.output ?? derivedName(diff, ["scaled"])
    try check(output: path, isNoneOf: [diff])
    let reader = try DiffReader(diff)
    let sink = try FileSink(path, overwriting: outputs.force)
    let summary = try scale(reader, by: factor, into: sink, profile: profile)
    try sink.commit()
    let rounding =
      summary.rounded == 0 ? "exactly" : "\(summary.rounded.grouped) of them rounded"
    try quiet.say(
      "\(path): \(summary.changes.grouped) changes multiplied by \(factor), \(rounding)")
  }
}
