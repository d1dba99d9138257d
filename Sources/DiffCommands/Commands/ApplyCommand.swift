import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import SystemSupport
import TensorCore

/// `diffkit apply`.
struct ApplyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply",
    abstract: "Apply one or more diffs to a base checkpoint.",
    discussion: """
      The base is recognized by the fingerprints of the tensors that change; everything else is \
      copied bit for bit. Exact diffs are applied one after the other, additive diffs on one base \
      are summed. A diff may be '-' (standard input, held in memory) or on a server (http, https, \
      s3).

        diffkit apply base.h5 task.diff -o tuned.h5
        diffkit apply base.h5 a.diff b.diff --undo back.diff
        diffkit apply base.h5 https://example.org/task.diff -o tuned.h5
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @Argument(help: "The diffs, in order.", completion: .file()) var diffs: [String]

  @Option(help: "Also write the exact inverse, as a diff.", completion: .file())
  var undo: String?

  @Flag(help: "Apply additive diffs to a base other than their own.")
  var allowOtherBase = false

  @Option(
    parsing: .unconditionalSingleValue,
    help: """
      Leave out one of the diffs. Since the result is made from the base, this removes an additive \
      diff from a stack exactly. May be repeated.
      """, completion: .file())
  var without: [String] = []

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var transfer: TransferOptions

  func validate() throws {
    guard metadata.list.isEmpty || undo != nil else {
      throw ValidationError("--meta is stored in the diff that --undo writes; give both")
    }
  }

  func run() throws {
    var options = try transfer.options()
    options.undoPath = undo
    options.undoMetadata = metadata.values
    options.allowsOtherBase = allowOtherBase
    let diffs = try remaining()
    try transfer.run(
      base, diffs, .apply, defaultOutput: derivedName(base, diffs.map(stem)), options: options)
  }
}

extension ApplyCommand {
  /// Returns the diffs that are not left out by `--without`.
  private func remaining() throws -> [String] {
    var left = diffs
    for path in without {
      guard let index = left.firstIndex(where: { $0 == path || File.areSame($0, path) }) else {
        throw DiffError(.usage, "is not one of the diffs, so it cannot be left out", path: path)
      }
      left.remove(at: index)
    }
    guard !left.isEmpty else {
      throw DiffError(.usage, "all diffs are left out; the result is the base itself", path: base)
    }
    return left
  }
}

/// `diffkit revert`.
struct RevertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revert",
    abstract: "Restore the base of a tuned checkpoint from the same exact diff.",
    discussion: """
        diffkit revert tuned.h5 task.diff -o base.h5
      """)

  @Argument(help: "The tuned checkpoint.", completion: .file()) var tuned: String
  @Argument(help: "The diffs, in the order in which they were applied.", completion: .file())
  var diffs: [String]
  @OptionGroup var transfer: TransferOptions

  func run() throws {
    try transfer.run(
      tuned, diffs, .revert, defaultOutput: derivedName(tuned, ["reverted"]),
      options: transfer.options())
  }
}

/// Options that `apply` and `revert` share.
struct TransferOptions: ParsableArguments {
  @OptionGroup var outputs: OutputOptions

  @Option(help: "full: whole tensors; touched: only the elements that change (exact diffs).")
  var verify = Verification.full

  @Flag(
    help: ArgumentHelp(
      "Change the checkpoint itself, with a journal (NAME\(Journal.suffix)); if this is "
        + "interrupted, 'diffkit recover' completes it."))
  var inPlace = false

  @Flag(
    help: """
      Write nothing; report what would be done and where additive diffs conflict (exit code 1 if \
      they do).
      """)
  var dryRun = false

  @Flag(help: "Refuse additions that make elements infinite.")
  var strict = false

  @OptionGroup var map: MapOption
  @OptionGroup var network: NetworkOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard !inPlace || outputs.output == nil else {
      throw ValidationError("--in-place and -o exclude each other")
    }
  }

  func options() throws -> ApplyOptions {
    var options = ApplyOptions()
    options.names = try map.read()
    options.overwriting = outputs.force
    options.verification = verify
    options.refusesInfinite = strict
    return options
  }

  func run(
    _ source: String, _ diffs: [String], _ direction: Direction, defaultOutput: String,
    options: ApplyOptions
  ) throws {
    var options = options
    options.copiesWhenDone = outputs.output != nil
    let output = inPlace ? source : outputs.output ?? defaultOutput
    // What is wrong with the base itself is said first.
    var base = try CheckpointFile.open(source)
    if let format = CheckpointFormat(suffixOf: source),
      let wanted = CheckpointFormat(suffixOf: output),
      format != wanted
    {
      throw DiffError(
        .usage,
        "has the suffix of \(wanted.rawValue), but \(source) is \(format.rawValue); use the same "
          + "suffix, and convert the file afterwards", path: output)
    }
    // The source itself may be replaced, in one step. A diff may not be, and no input by the undo.
    try check(output: output, isNoneOf: diffs)
    if let undo = options.undoPath { try check(output: undo, isNoneOf: [source] + diffs) }
    let remote = network.remote
    let readers = try diffs.map { try openDiff($0, remote) }
    var moreNotes: [String] = []
    if let adapted = try Self.configuration(for: base, readers, direction), !inPlace {
      base = try SafeTensorsFolder(source, replacing: ["config.json": adapted.bytes])
      moreNotes = adapted.notes
    }
    let show = report.progress.show
    var notes = options.names.unused(by: readers.flatMap { $0.map(\.name) })
      .map { "no name matches the map's rule \($0)" }
    if direction == .apply { notes += try Diffs.notes(onRepeated: readers) }
    if dryRun {
      if !inPlace { try outputs.checkOutput(output) }
      return try preview(readers, direction, to: base, options, notes, adapted: moreNotes)
    }
    // Before the base is replaced: libhdf5 opens it by its path if there is no /proc.
    let changeNotes = try self.notes(on: readers, direction, to: base, options, adapted: moreNotes)
    let outcome =
      try inPlace
      ? Diffs.applyInPlace(readers, direction, to: base, options, progress: show)
      : Diffs.apply(readers, direction, to: base, output: output, options, progress: show)
    if !inPlace && outcome != .alreadyDone { notes += try base.notesOnCopying() }
    if outcome != .alreadyDone && outcome != .copied {
      notes += changeNotes
    } else {
      notes += Self.notes(onNothingDone: readers, direction, undo: options.undoPath)
    }
    try report.print(
      TransferOutput(
        source, output, direction, outcome: outcome, notes: notes, isInPlace: inPlace))
  }
}

extension TransferOptions {
  /// Returns the `config.json` of a folder, adapted to the head of a task and to the size of the
  /// vocabulary; nil if there is no such file, or neither changes.
  private static func configuration(
    for base: any Checkpoint, _ diffs: [DiffReader], _ direction: Direction
  ) throws(DiffError) -> TransformersConfiguration? {
    guard direction == .apply else { return nil }
    let diff = diffs.last { $0.metadata["task.kind"] != nil }
    let words = diffs.flatMap { Array($0) }.last { $0.newShape != nil && $0.name.isTokenTable }
    return try TransformersConfiguration(
      of: base, for: diff?.metadata ?? [:], path: diff?.path,
      vocabulary: words?.newShape.map { Int($0.extents[0]) })
  }

  /// Returns notes on what the transfer leaves as it is, and may no longer fit.
  private func notes(
    on diffs: [DiffReader], _ direction: Direction, to base: any Checkpoint,
    _ options: ApplyOptions, adapted: [String]
  ) throws -> [String] {
    try Diffs.notes(on: diffs, direction, to: base, names: options.names) + adapted
      + (inPlace ? [] : Self.notes(onConfigurationOf: base, diffs, direction))
  }

  /// Explains why nothing was done where something else was probably meant.
  private static func notes(
    onNothingDone diffs: [DiffReader], _ direction: Direction, undo: String?
  ) -> [String] {
    var notes: [String] = []
    if direction == .revert, let diff = diffs.first(where: \.isUndo) {
      notes.append("\(diff.path ?? "-") undoes an earlier apply; apply it to do so")
    }
    if let undo { notes.append("\(undo) has no changes, since there was nothing to undo") }
    return notes
  }

  /// A `config.json` describes the head of a task that a diff takes back, and is copied as it is.
  private static func notes(
    onConfigurationOf base: any Checkpoint, _ diffs: [DiffReader], _ direction: Direction
  ) -> [String] {
    guard TransformersConfiguration.path(of: base) != nil else { return [] }
    let takesBack = diffs.contains { diff in
      direction == .revert
        ? diff.metadata["task.kind"] != nil
        : diff.isUndo && diff.contains { $0.operation == .delete }
    }
    return takesBack
      ? ["config.json is a copy, and may describe the task's head: take the base's instead"] : []
  }

  /// Prints what would be done.
  private func preview(
    _ readers: [DiffReader], _ direction: Direction, to base: any Checkpoint,
    _ options: ApplyOptions, _ notes: [String], adapted: [String]
  ) throws {
    let preview = try Diffs.preview(
      readers, direction, to: base, options, progress: report.progress.show)
    let areAdditive = readers.count > 1 && readers.allSatisfy { $0.contains(where: \.isAddition) }
    let table =
      areAdditive && !preview.isDone
      ? OverlapTable(try Diffs.overlaps(readers), readers.map { $0.path ?? "-" }) : nil
    var notes = notes
    if !preview.isDone && preview.clashing.isEmpty {
      notes += try inPlace ? [] : base.notesOnCopying()
      notes += try self.notes(on: readers, direction, to: base, options, adapted: adapted)
    }
    let output = TransferPreviewOutput(base.path, direction, preview, table, notes: notes)
    try report.print(output)
    if output.conflicts { throw ExitStatus.different }
  }
}

extension DiffReader {
  /// True of what `apply --undo` wrote.
  fileprivate var isUndo: Bool { metadata["diffkit.undo-of"] != nil }
}

/// The output of `apply` and `revert`.
private struct TransferOutput: CommandOutput {
  let source: String
  let output: String?
  /// `written`, `patched`, `replaced`, `already-applied` or `already-reverted`.
  let outcome: String
  let tensors: Int
  /// The number of elements that additions made infinite.
  let infinite: UInt64
  /// Notes on parts of the checkpoint that are unchanged and may no longer match.
  let notes: [String]

  init(
    _ source: String, _ output: String, _ direction: Direction, outcome: ApplyOutcome,
    notes: [String], isInPlace: Bool
  ) {
    self.source = source
    self.notes = notes
    switch outcome {
    case .written(let tensors, let infinite):
      self.outcome = isInPlace ? "replaced" : "written"
      (self.output, self.tensors, self.infinite) = (output, tensors, infinite)
    case .patched(let tensors, let infinite):
      self.outcome = "patched"
      (self.output, self.tensors, self.infinite) = (output, tensors, infinite)
    case .copied, .alreadyDone:
      self.outcome = direction == .apply ? "already-applied" : "already-reverted"
      self.output = outcome == .copied ? output : nil
      (tensors, infinite) = (0, 0)
    }
  }

  var notesInText: [String] { notes }

  var text: String {
    if outcome.hasPrefix("already") {
      let copy = output.map { "\($0.escapingControls) is a copy" } ?? "nothing written"
      return "\(source.escapingControls): \(outcome.replacing("-", with: " ")), \(copy)\n" + noted
    }
    let output = output ?? ""
    let how = outcome == "replaced" ? "replaced by a new file" : outcome
    return "\(output.escapingControls): \(how), \(tensors.counted("tensor")) changed\n"
      + (infinite > 0 ? "\(infinite.counted("element")) became infinite\n" : "")
      + noted
  }
  private var noted: String {
    notes.map { "note: \($0.abbreviated(to: 1000).escapingControls)\n" }.joined()
  }
}
