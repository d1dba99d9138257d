import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit compose`.
struct ComposeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compose",
    abstract: "Make one exact diff that does what several do in order.",
    discussion: """
      Each diff must have been made on the result of the one before. Additive diffs are combined \
      with 'diffkit merge'.

        diffkit compose monday.diff tuesday.diff -o both.diff
      """)

  @Argument(help: "The diffs, in the order of their making.") var diffs: [String]
  @OptionGroup var outputs: OutputOptions

  @Option(help: "The base checkpoint, for chains that cannot be told from the diffs alone.")
  var base: String?

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @OptionGroup var quiet: QuietOption

  func run() throws {
    guard let path = outputs.output else {
      throw DiffError(.usage, "name the composed diff with -o FILE")
    }
    try check(output: path, isNoneOf: diffs + (base.map { [$0] } ?? []))
    let readers = try DiffReader.open(diffs)
    let line = ProgressLine(quiet: quiet.quiet)
    let sink = try FileSink(path, overwriting: outputs.force)
    let summary =
      if let base {
        try compose(
          readers, on: try openCheckpoint(base), scratch: path, into: sink, profile: profile,
          progress: line.show)
      } else {
        try compose(readers, into: sink, profile: profile)
      }
    try sink.commit()
    try quiet.say(
      "\(path): \(try File(path).size.bytes), \(summary.changes.grouped) changes in "
        + "\(summary.tensors) tensors, out of \(diffs.count) diffs")
    if !summary.unchanged.isEmpty {
      try quiet.say("in the end as they were: \(summary.unchanged.joined(separator: ", "))")
    }
  }
}
