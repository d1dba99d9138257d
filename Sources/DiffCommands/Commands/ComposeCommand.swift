import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit compose`.
struct ComposeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compose",
    abstract: "Combine a chain of exact diffs into one.",
    discussion: """
      Each diff must have been made on the result of the one before. Additive diffs are combined \
      with 'diffkit merge'.

        diffkit compose monday.diff tuesday.diff -o both.diff
      """)

  @Argument(help: "The diffs, in the order in which they are applied.", completion: .file())
  var diffs: [String]
  @OptionGroup var outputs: OutputOptions

  @Option(
    help: "The base checkpoint, for chains that the diffs alone do not determine.",
    completion: .file())
  var base: String?

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @Flag(help: "Write nothing; report what would be written.")
  var dryRun = false

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    if dryRun { return try preview() }
    guard let path = outputs.output else {
      throw DiffError(.usage, "name the composed diff with -o FILE")
    }
    try check(output: path, isNoneOf: diffs + (base.map { [$0] } ?? []))
    let readers = try openDiffs(diffs)
    try writeDiff(path, force: outputs.force) { sink in
      try compose(readers, into: sink, beside: path)
    } report: { summary, size in
      try report.print(
        ComposeOutput(
          output: path, size: size, changes: summary.changes, tensors: summary.tensors,
          diffs: diffs.count, unchanged: summary.unchanged.map(\.description),
          attributesLeftOut: summary.attributesLeftOut.map(\.description)))
    }
  }

  private func compose(
    _ readers: [DiffReader], into sink: any ByteSink, beside path: String
  ) throws -> ComposeSummary {
    guard let base else {
      return try Diffs.compose(readers, into: sink, profile: profile, metadata: metadata.values)
    }
    return try Diffs.compose(
      readers, on: try CheckpointFile.open(base), scratch: path == "-" ? base : path, into: sink,
      profile: profile, metadata: metadata.values, progress: report.progress.show)
  }

  /// Prints what would be written.
  private func preview() throws {
    try outputs.checkOutput(outputs.output)
    let sink = CountingSink()
    let summary = try compose(try openDiffs(diffs), into: sink, beside: "-")
    try report.print(
      ComposeOutput(
        output: "-", size: sink.size, changes: summary.changes, tensors: summary.tensors,
        diffs: diffs.count, unchanged: summary.unchanged.map(\.description),
        attributesLeftOut: summary.attributesLeftOut.map(\.description),
        density: summary.elements > 0 ? Double(summary.changes) / Double(summary.elements) : 0))
  }
}

/// The output of `compose`.
private struct ComposeOutput: CommandOutput {
  let output: String
  let size, changes: UInt64
  let tensors, diffs: Int
  /// Tensors whose changes cancel out.
  let unchanged: [String]
  let attributesLeftOut: [String]
  /// Changes / elements of the tensors that change; nil except for a dry run.
  var density: Double?

  var text: String {
    let share = density.map { " (\($0.percent) of the elements)" } ?? ""
    var text =
      "\(output == "-" ? "would be" : output.escapingControls): \(size.bytes), "
      + "\(changes.counted("change"))\(share) in \(tensors.counted("tensor")), out of "
      + "\(diffs.counted("diff"))\n"
    for name in unchanged { text += "unchanged in the end: \(name.escapingControls)\n" }
    return text + leftOut(attributesLeftOut)
  }
}
