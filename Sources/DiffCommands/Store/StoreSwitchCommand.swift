import ArgumentParser
import Checkpoints
import DiffOperations
import DiffStore
import DiffTraining
import TensorCore

/// `diffkit store switch`.
struct StoreSwitchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "switch",
    abstract: "Switch a checkpoint from its version to another one.",
    discussion: """
      Its version is recognized by its fingerprints, which are kept beside it. All links on the \
      way are applied in one pass, and the result is verified before it becomes visible.

        diffkit store switch runs served.safetensors step-9 -o next.safetensors
        diffkit store switch runs served.safetensors step-9 --in-place
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "The checkpoint.", completion: .file()) var checkpoint: String
  @Argument(help: "The version.") var name: String
  @OptionGroup var outputs: OutputOptions

  @Flag(
    help: ArgumentHelp(
      "Change the checkpoint itself, with a journal (NAME\(Journal.suffix)); if this is "
        + "interrupted, 'diffkit recover' completes it."))
  var inPlace = false

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard inPlace != (outputs.output != nil) else {
      throw ValidationError("name the output with -o, or give --in-place")
    }
  }

  func run() throws {
    try check(output: outputs.output ?? checkpoint, isNoneOf: [])
    let outcome = try store.with { store in
      let base = try CheckpointFile.open(checkpoint)
      return try store.switch(
        base, to: name, output: outputs.output,
        replacing: inPlace ? [:] : store.replacedFiles(of: base, for: name),
        overwriting: outputs.force, progress: report.progress.show)
    }
    try report.print(SwitchOutput(outputs.output ?? checkpoint, outcome, isCopy: !inPlace))
  }
}

/// `diffkit store get`.
struct StoreGetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Write a version as a checkpoint.",
    discussion: """
        diffkit store get runs step-9 -o step-9.safetensors
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "The version.") var name: String
  @OptionGroup var outputs: OutputOptions
  @OptionGroup var report: ReportOptions

  func run() throws {
    guard let output = outputs.output else {
      throw DiffError(.usage, "name the checkpoint with -o FILE")
    }
    try check(output: output, isNoneOf: [])
    let outcome = try store.with { store in
      try store.get(
        name, to: output,
        replacing: store.replacedFiles(of: store.container(of: name), for: name),
        overwriting: outputs.force, progress: report.progress.show)
    }
    try report.print(SwitchOutput(output, outcome, isCopy: true))
  }
}

/// The output of `store switch` and `store get`.
private struct SwitchOutput: CommandOutput {
  let output, from, to: String
  let links, tensors: Int
  /// The bytes of links and anchors that were read.
  let read: UInt64
  /// `written`, `patched` or `already-there`.
  let outcome: String

  init(_ output: String, _ outcome: SwitchOutcome, isCopy: Bool) {
    self.output = output
    from = outcome.from
    to = outcome.to
    links = outcome.links
    tensors = outcome.tensors
    read = outcome.cost
    self.outcome = isCopy ? "written" : outcome.isThere ? "already-there" : "patched"
  }

  var text: String {
    if outcome == "already-there" {
      return "\(output): already at '\(to)', nothing written".escapingControls + "\n"
    }
    let origin = links == 0 ? "a copy" : "from '\(from)' by \(links.counted("link"))"
    return "\(output): '\(to)', \(origin), \(tensors.counted("tensor")) changed".escapingControls
      + "\n"
  }
}

extension Store {
  /// Returns the files of a folder that differ in a version: `config.json`, if the version was added
  /// as the diff of a task.
  fileprivate func replacedFiles(
    of base: any Checkpoint, for name: String
  ) throws(DiffError) -> [String: [UInt8]] {
    let metadata = try version(name).metadata
    guard metadata["task.kind"] != nil, TransformersConfiguration.path(of: base) != nil else {
      return [:]
    }
    func rows(_ checkpoint: any Checkpoint) -> UInt64? {
      checkpoint.tensors.first(where: \.name.isTokenTable)?.shape.extents.first
    }
    let (before, after) = (rows(base), rows(try checkpoint(of: name)))
    let adapted = try TransformersConfiguration(
      of: base, for: metadata, path: path,
      vocabulary: after.flatMap { before == $0 ? nil : Int(exactly: $0) })
    return adapted.map { ["config.json": $0.bytes] } ?? [:]
  }
}
