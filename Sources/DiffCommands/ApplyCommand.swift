import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit apply`.
struct ApplyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply",
    abstract: "Write the checkpoint that a base and one or more diffs make.",
    discussion: """
      The base is recognised by the fingerprints of the tensors that change; whatever no diff \
      touches is copied bit for bit. Exact diffs are applied one after the other, additive ones \
      on one base are summed.

        diffkit apply base.h5 task.diff -o tuned.h5
      """)

  @Argument(help: "The base checkpoint.") var base: String
  @Argument(help: "The diffs, in order.") var diffs: [String]
  @OptionGroup var outputs: OutputOptions

  @Option(help: "Also write the exact inverse, as a diff.")
  var undo: String?

  @Flag(help: "Apply additive diffs to another base than theirs.")
  var allowOtherBase = false

  @Option(help: "full: whole tensors; touched: only the elements that change (exact diffs).")
  var verify = Verification.full

  @OptionGroup var map: MapOption
  @OptionGroup var quiet: QuietOption

  func run() throws {
    var options = ApplyOptions()
    options.names = try map.read()
    options.overwriting = outputs.force
    options.verification = verify
    options.undoPath = undo
    options.allowsOtherBase = allowOtherBase
    try transfer(
      base, diffs, .apply, outputs.output ?? derivedName(base, diffs.map(stem)), options, quiet)
  }
}

/// `diffkit revert`.
struct RevertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revert",
    abstract: "Write the base that a tuned checkpoint came from, out of the same exact diff.",
    discussion: """
        diffkit revert tuned.h5 task.diff -o base.h5
      """)

  @Argument(help: "The tuned checkpoint.") var tuned: String
  @Argument(help: "The diffs, in the order in which they were applied.") var diffs: [String]
  @OptionGroup var outputs: OutputOptions

  @Option(help: "full: whole tensors; touched: only the elements that change.")
  var verify = Verification.full

  @OptionGroup var map: MapOption
  @OptionGroup var quiet: QuietOption

  func run() throws {
    var options = ApplyOptions()
    options.names = try map.read()
    options.overwriting = outputs.force
    options.verification = verify
    try transfer(
      tuned, diffs, .revert, outputs.output ?? derivedName(tuned, ["reverted"]), options, quiet)
  }
}

private func transfer(
  _ source: String, _ diffs: [String], _ direction: Direction, _ output: String,
  _ options: ApplyOptions, _ quiet: QuietOption
) throws {
  // The source itself may be replaced, in one step; a diff, or the undo in its place, may not.
  try check(output: output, isNoneOf: diffs)
  if let undo = options.undoPath { try check(output: undo, isNoneOf: [source] + diffs) }
  let readers = try diffs.map { try DiffReader($0) }
  let line = ProgressLine(quiet: quiet.quiet)
  let outcome = try apply(
    readers, direction, to: try openCheckpoint(source), output: output, options,
    progress: line.show)
  switch outcome {
  case .written(let tensors): try quiet.say("\(output): written, \(tensors) tensors changed")
  case .alreadyDone:
    let what = direction == .apply ? "applied" : "reverted"
    try quiet.say("\(source): already \(what), nothing written")
  }
}
