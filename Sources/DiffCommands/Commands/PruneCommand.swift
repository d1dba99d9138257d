import ArgumentParser
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit prune`.
struct PruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Keep only the largest changes of an additive diff.",
    discussion: """
      A density is a share of the elements of the tensors that the diff adds to. Heads are kept.

        diffkit prune task.diff --density 0.001 -o small.diff
        diffkit prune task.diff --threshold 1e-4 -o small.diff
        diffkit merge a.diff b.diff -o - | diffkit prune - --density 0.005 -o both.diff
      """)

  @Argument(help: "The diff.", completion: .file()) var diff: String
  @OptionGroup var outputs: OutputOptions

  @Option(help: "Keep the largest changes, this share of the elements.")
  var density: Double?

  @Option(help: "Keep changes of at least this magnitude.")
  var threshold: Double?

  @Flag(help: "Apply the density to each tensor, not to all together.")
  var perTensor = false

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (density == nil) != (threshold == nil) else {
      throw ValidationError("give --density or --threshold")
    }
    if let density, !(0...1).contains(density) {
      throw ValidationError("--density must be in 0 ... 1")
    }
    if let threshold, !(threshold > 0 && threshold.isFinite) {
      throw ValidationError("--threshold must be above 0")
    }
    guard density != nil || !perTensor else {
      throw ValidationError("--per-tensor requires --density")
    }
  }

  func run() throws {
    let path = outputs.path(after: diff, "pruned")
    try check(output: path, isNoneOf: [diff])
    var options = PruneOptions(
      density.map { .density($0) } ?? .threshold(threshold ?? 0))
    options.perTensor = perTensor
    options.profile = profile
    options.metadata = metadata.values
    let reader = try openDiff(diff)
    try writeDiff(path, force: outputs.force) { sink in
      try Diffs.prune(reader, into: sink, options)
    } report: { summary, size in
      try report.print(
        PruneOutput(
          output: path, size: size, changes: summary.changes, kept: summary.kept,
          tensors: summary.tensors, normShare: summary.normShare))
    }
  }
}

/// The output of `prune`.
private struct PruneOutput: CommandOutput {
  let output: String
  let size, changes, kept: UInt64
  let tensors: Int
  let normShare: Double

  var text: String {
    "\(output.escapingControls): \(size.bytes), \(kept.grouped) of \(changes.grouped) changes kept, "
      + "with \(normShare.percent) of the L2 norm\n"
  }
}
