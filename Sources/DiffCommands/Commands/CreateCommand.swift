import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit create`.
struct CreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Create a diff from a base checkpoint to a tuned one.",
    discussion: """
      Exact by default: 'apply' restores the tuned tensors bit for bit, 'revert' those of the \
      base. With '-o -', the diff goes to standard output and nothing is reported.

        diffkit create base.h5 tuned.h5 -o task.diff
        diffkit create base.h5 tuned.h5 --add --density 0.005 -o task.diff
        diffkit create base.h5 tuned.h5 -o - | ssh host diffkit apply base.h5 - -o tuned.h5
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @Argument(help: "The tuned checkpoint.", completion: .file()) var tuned: String
  @OptionGroup var outputs: OutputOptions

  @Flag(help: "Store new bits instead of XOR: idempotent, but cannot be reverted.")
  var replace = false

  @Flag(help: "Store additions, as float16 by default: approximate, but can be merged.")
  var add = false

  @Option(help: "With --add: keep the largest changes, this share of all float elements.")
  var density: Double?

  @Option(help: "With --add: keep changes of at least this magnitude.")
  var threshold: Double?

  @Option(help: "With --add: the type of stored values: f16, bf16 or f32 (f16).")
  var values: FloatType?

  @Flag(help: "With --add: leave out changed tensors that are not float.")
  var skipNonfloat = false

  @Flag(
    help: """
      With --add: refuse losses, which are elements that become infinite and changes that are \
      rounded to zero.
      """)
  var strict = false

  @Flag(help: "Compare the state of the optimizer too, which whole models of Keras hold.")
  var optimizer = false

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @OptionGroup var metadata: MetadataOption

  @OptionGroup var map: MapOption
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard
      add || density == nil && threshold == nil && values == nil && !skipNonfloat && !strict
    else {
      throw ValidationError(
        "--density, --threshold, --values, --skip-nonfloat and --strict go with --add")
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
  }

  func run() throws {
    var options = CreateOptions()
    options.profile = profile
    options.skipsNonfloat = skipNonfloat
    options.refusesLosses = strict
    options.includesOptimizer = optimizer
    options.names = try map.read()
    if replace { options.mode = .replace }
    if add {
      let selection: Selection =
        density.map { .density($0) } ?? threshold.map { .threshold($0) } ?? .all
      options.mode = .add(selection, values: values ?? .f16)
    }
    options.metadata = metadata.values
    let path = outputs.output ?? stem(tuned) + ".diff"
    try check(output: path, isNoneOf: [base, tuned])
    let (before, after) = (try CheckpointFile.open(base), try CheckpointFile.open(tuned))
    try writeDiff(path, force: outputs.force) { sink in
      try Diffs.create(from: before, to: after, into: sink, options, progress: report.progress.show)
    } report: { summary, size in
      try report.print(
        CreateOutput(
          path, tuned, summary, vainRules: options.names.unused(by: before.tensors.map(\.name)),
          size: size))
    }
  }
}

/// The output of `create`.
private struct CreateOutput: CommandOutput {
  struct Pair: Encodable {
    let base, tuned: String
  }

  let output: String
  let size, changes, elements: UInt64
  let changedTensors, tensors: Int
  let reshaped, deleted, inserted: [String]
  /// Pairs of tensors, each in one checkpoint only, that may be the same tensor.
  let alike: [Pair]
  /// The fingerprints of the whole base and of the whole result.
  let base, result: String?
  /// Attributes that are stored in the diff.
  let attributes: [String]
  let notCompared: [CheckpointInspection.Skipped]
  /// Objects other than tensors that differ and are not in the diff.
  let notCarried: [CheckpointInspection.Skipped]
  /// Tensors that `--skip-nonfloat` left out.
  let leftOut: [String]
  /// The number of elements that become infinite since stored values are rounded.
  let infinite: UInt64
  /// Changes that are left out since stored values are rounded to zero.
  let rounded: UInt64
  /// Rules of `--map` that no name of the base matches.
  let vainRules: [String]
  private let tuned: String

  private enum CodingKeys: CodingKey {
    case output, size, changes, elements, changedTensors, tensors, reshaped, deleted, inserted
    case base, result, alike, attributes, notCompared, notCarried, leftOut, infinite, rounded
    case vainRules
  }

  init(
    _ output: String, _ tuned: String, _ summary: CreateSummary, vainRules: [String], size: UInt64
  ) {
    self.output = output
    self.tuned = tuned
    self.size = size
    changes = summary.changes
    elements = summary.elements
    changedTensors = summary.changedTensors
    tensors = summary.tensors
    reshaped = summary.reshaped.map(\.description)
    deleted = summary.deleted.map(\.description)
    inserted = summary.inserted.map(\.description)
    alike = summary.alike.map { Pair(base: "\($0.base)", tuned: "\($0.tuned)") }
    base = summary.checkpoints?.base.description
    result = summary.checkpoints?.result.description
    attributes = summary.attributes.map(\.description)
    notCompared = summary.notCompared.map { .init($0) }
    notCarried = summary.notCarried.map { .init($0) }
    leftOut = summary.skipped.map(\.description)
    infinite = summary.infinite
    rounded = summary.rounded
    self.vainRules = vainRules
  }

  var text: String {
    let whole = deleted.count + inserted.count
    let parts = [
      changes > 0 || whole == 0
        ? "\(changes.counted("change")) (\((Double(changes) / Double(max(1, elements))).percent))"
        : nil, whole > 0 ? whole.counted("whole tensor") : nil,
    ]
    var lines = [
      "\(output): \(size.bytes), \(parts.compactMap { $0 }.joined(separator: " and ")) "
        + "in \(changedTensors) of \((tensors + inserted.count).counted("tensor"))"
    ]
    if let base, let result { lines.append("checkpoints: \(base) → \(result)") }
    let lists = [
      ("shape changed", reshaped), ("only in the base", deleted),
      ("only in \(tuned)", inserted),
    ]
    for (what, names) in lists where !names.isEmpty {
      let more = names.count > 10 ? ", and \(names.count - 10) more" : ""
      lines.append(
        "\(what): \(names.prefix(10).map { $0.abbreviated() }.joined(separator: ", "))\(more)")
    }
    for pair in alike.prefix(3) {
      lines.append(
        "perhaps the same tensor: \(pair.base) and \(pair.tuned) (give --map FILE to map names)")
    }
    if alike.count > 3 { lines.append("and \(alike.count - 3) more such pairs") }
    if infinite > 0 { lines.append("\(infinite.counted("element")) will become infinite") }
    if rounded > 0 { lines.append("\(rounded.counted("change")) rounded to zero and left out") }
    if let first = attributes.first {
      let more = attributes.count > 1 ? ", and \(attributes.count - 1) more" : ""
      lines.append("attributes in the diff: \(first.abbreviated())\(more)")
    }
    for object in notCompared {
      lines.append("not compared: \(object.name.abbreviated()), \(object.reason)")
    }
    for object in notCarried.prefix(10) {
      lines.append("not in the diff: \(object.name.abbreviated()): \(object.reason)")
    }
    if notCarried.count > 10 { lines.append("not in the diff: \(notCarried.count - 10) more") }
    if !leftOut.isEmpty {
      lines.append("left out, not float: \(leftOut.joined(separator: ", "))")
    }
    return lines.map { $0.escapingControls + "\n" }.joined() + MapOption.text(vainRules: vainRules)
  }
}
