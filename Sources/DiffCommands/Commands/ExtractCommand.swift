import ArgumentParser
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit extract`.
struct ExtractCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extract",
    abstract: "Make a diff of some tensors of another one.",
    discussion: """
      In a name, '*' stands for any letters and '?' for one; '/' and '.' are the same. All \
      operations are taken as they are stored, fingerprints included.

        diffkit extract task.diff --tensors 'encoder.layer.0.*' -o layer0.diff
        diffkit extract task.diff --except 'classifier.*' -o headless.diff
      """)

  @Argument(help: "The diff.", completion: .file()) var diff: String
  @OptionGroup var outputs: OutputOptions

  @Option(help: "Names to take; may be given again.")
  var tensors: [String] = []

  @Option(help: "Names to leave out; may be given again.")
  var except: [String] = []

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    // Here, not in `validate`, which comes before an option that does not exist is refused.
    guard !tensors.isEmpty || !except.isEmpty else {
      throw ValidationError("give --tensors or --except")
    }
    let path = outputs.path(after: diff, "extracted")
    try check(output: path, isNoneOf: [diff])
    let reader = try openDiff(diff)
    try writeDiff(path, force: outputs.force) { sink in
      try Diffs.extract(
        reader, tensors: tensors.map { NamePattern($0) }, except: except.map { NamePattern($0) },
        metadata: metadata.values, into: sink)
    } tell: { summary, size in
      try report.print(
        ExtractOutput(
          output: path, size: size, taken: summary.tensors, tensors: reader.count,
          attributesLeftOut: summary.attributesLeftOut.map(\.description)))
    }
  }
}

/// What `extract` tells.
private struct ExtractOutput: CommandOutput {
  let output: String
  let size: UInt64
  let taken, tensors: Int
  let attributesLeftOut: [String]

  var text: String {
    "\(output.escapingControls): \(size.bytes), \(taken) of \(tensors) tensors\n"
      + leftOut(attributesLeftOut)
  }
}
