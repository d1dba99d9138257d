import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit create`.
struct CreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Make the diff that takes a base checkpoint to a tuned one.",
    discussion: """
      Exact by default: apply gives the tuned tensors bit for bit, revert the base's.

        diffkit create base.h5 tuned.h5 -o task.diff
        diffkit create base.h5 tuned.h5 --add --density 0.005 -o task.diff
      """)

  @Argument(help: "The base checkpoint.") var base: String
  @Argument(help: "The tuned checkpoint.") var tuned: String
  @OptionGroup var outputs: OutputOptions

  @Flag(help: "Store new bits instead of XOR: idempotent, but cannot be reverted.")
  var replace = false

  @Flag(help: "Store float16 additions: approximate; what merging combines.")
  var add = false

  @Option(help: "With --add: keep the largest changes, this share of all float elements.")
  var density: Double?

  @Option(help: "With --add: keep changes of at least this magnitude.")
  var threshold: Double?

  @Flag(help: "With --add: leave out changed tensors that are no floats.")
  var skipNonfloat = false

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @Option(name: .customLong("meta"), help: "A fact to store, KEY=VALUE; may be given again.")
  var metadata: [String] = []

  @OptionGroup var map: MapOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    guard add || (density == nil && threshold == nil && !skipNonfloat) else {
      throw ValidationError("--density, --threshold and --skip-nonfloat go with --add")
    }
    guard !(add && replace) else { throw ValidationError("--add and --replace exclude each other") }
    guard density == nil || threshold == nil else {
      throw ValidationError("--density and --threshold exclude each other")
    }
    if let density, !(density > 0 && density <= 1) {
      throw ValidationError("--density must be above 0 and at most 1")
    }
    if let threshold, !(threshold > 0 && threshold.isFinite) {
      throw ValidationError("--threshold must be above 0")
    }
    guard metadata.allSatisfy({ $0.contains("=") && $0.first != "=" }) else {
      throw ValidationError("--meta takes KEY=VALUE")
    }
  }

  func run() throws {
    var options = CreateOptions()
    options.profile = profile
    options.skipsNonfloat = skipNonfloat
    options.names = try map.read()
    if replace { options.mode = .replace }
    if add {
      let selection: Selection =
        density.map { .density($0) } ?? threshold.map { .threshold($0) } ?? .all
      options.mode = .add(selection, values: .f16)
    }
    for fact in metadata {
      guard let equals = fact.firstIndex(of: "=") else { continue }
      options.metadata[String(fact[..<equals])] = String(fact[fact.index(after: equals)...])
    }
    let path = outputs.output ?? stem(tuned) + ".diff"
    try check(output: path, isNoneOf: [base, tuned])
    let line = ProgressLine(quiet: quiet.quiet)
    let sink = try FileSink(path, overwriting: outputs.force)
    let summary = try create(
      from: try openCheckpoint(base), to: try openCheckpoint(tuned), into: sink, options,
      progress: line.show)
    try sink.commit()
    let size = try File(path).size
    try quiet.say(
      "\(path): \(size.bytes), \(summary.changes.grouped) changes "
        + "(\((Double(summary.changes) / Double(max(1, summary.elements))).percent)) "
        + "in \(summary.changedTensors) of \(summary.tensors) tensors")
    try say(summary)
    for object in summary.notCompared {
      try quiet.say("not compared: \(object.name), \(object.reason)")
    }
    if !summary.skipped.isEmpty {
      try quiet.say("left out, no floats: \(summary.skipped.joined(separator: ", "))")
    }
  }

  /// Tells what the two checkpoints do not share.
  private func say(_ summary: CreateSummary) throws {
    let lists = [
      ("another shape", summary.reshaped), ("in the base alone", summary.deleted),
      ("in \(tuned) alone", summary.inserted),
    ]
    for (what, names) in lists where !names.isEmpty {
      let more = names.count > 10 ? ", and \(names.count - 10) more" : ""
      try quiet.say("\(what): \(names.prefix(10).joined(separator: ", "))\(more)")
    }
    for pair in summary.alike.prefix(3) {
      try quiet.say(
        "perhaps one tensor: \(pair.base) and \(pair.tuned) (--map FILE tells which is which)")
    }
  }
}
