import ArgumentParser
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit extract`.
struct ExtractCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extract",
    abstract: "Extract some tensors of a diff into a new diff.",
    discussion: """
      In a name, '*' matches any characters and '?' matches one; '/' and '.' are equivalent. All \
      operations are copied as they are stored, fingerprints included.

        diffkit extract task.diff --tensors 'encoder.layer.0.*' -o layer0.diff
        diffkit extract task.diff --except 'classifier.*' -o headless.diff
      """)

  @Argument(help: "The diff.", completion: .file()) var diff: String
  @OptionGroup var outputs: OutputOptions

  @Option(help: "Names to take; may be repeated.")
  var tensors: [String] = []

  @Option(help: "Names to leave out; may be repeated.")
  var except: [String] = []

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    // Not in `validate`, which runs before unknown options are refused.
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
    } report: { summary, size in
      try report.print(
        ExtractOutput(
          output: path, size: size, taken: summary.tensors, tensors: reader.count,
          attributesLeftOut: summary.attributesLeftOut.map(\.description)))
    }
  }
}

/// The output of `extract`.
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
