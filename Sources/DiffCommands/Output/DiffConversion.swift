import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// The options of `diffkit convert` for diffs, and the conversion of diffs.
struct DiffConversion: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The format of the input, if neither contents nor suffix determine it: coo-npz, sft-npz, "
        + "shira, super-tuning or sparse-hdf5."))
  var from: ExchangeFormat?

  @Option(
    help: ArgumentHelp(
      "The format to write, if the suffix does not determine it: diff, coo-npz, sft-npz, shira, "
        + "sparse-hdf5, hdf5, safetensors, or a delta for other tools: delta-xor, delta-overwrite, "
        + "arc-v1 or arc-v2."))
  var to: ConversionTarget?

  @Option(
    help: ArgumentHelp(
      "The base checkpoint, required to import a diff, to write a delta, or to write SHiRA with a "
        + "head that the base has, too."),
    completion: .file())
  var base: String?

  @Option(help: "The checksum of delta-xor and delta-overwrite: xxh3-128 (default) or adler32.")
  var checksum: DeltaChecksum?

  @Option(help: "The type of a diff's values: f16, bf16 or f32.")
  var values: FloatType?

  @Option(help: "The encodings of a diff: size or speed.")
  var profile = EncodingProfile.size

  @OptionGroup var map: MapOption
  @OptionGroup var metadata: MetadataOption

  /// A format to write.
  enum ConversionTarget: String, ExpressibleByArgument, CaseIterable {
    case diff
    case cooNpz = "coo-npz"
    case sftNpz = "sft-npz"
    case shira
    case sparseHDF5 = "sparse-hdf5"
    case hdf5
    case safetensors
    case deltaXor = "delta-xor"
    case deltaOverwrite = "delta-overwrite"
    case arcV1 = "arc-v1"
    case arcV2 = "arc-v2"
  }

  /// The delta of other tools that `to` names.
  private var delta: DeltaFormat? { to.flatMap { DeltaFormat(rawValue: $0.rawValue) } }

  /// The format of a checkpoint that `to` names.
  var checkpointFormat: CheckpointFormat? {
    to.flatMap { CheckpointFormat(rawValue: $0.rawValue) }
  }

  /// Converts to or from a diff; returns false if the input and the output are checkpoints.
  func run(_ input: String, _ output: String, force: Bool, _ report: ReportOptions) throws -> Bool {
    if checksum != nil && delta?.isVersioned != true {
      throw DiffError(.usage, "--checksum requires --to delta-xor or delta-overwrite")
    }
    if try isDiff(input) {
      try check(output: output, isNoneOf: [input] + (base.map { [$0] } ?? []))
      if let delta {
        try convert(try openDiff(input), to: output, delta, force: force, report)
        return true
      }
      let takesBase = try base != nil && exportFormat(output) == .shira
      if let option = base.flatMap({ _ in takesBase ? nil : "--base" })
        ?? map.path.map({ _ in "--map" })
      {
        throw DiffError(
          .usage, "\(option) applies to files of other tools only; the input is a diff", path: input
        )
      }
      try convert(try openDiff(input), to: output, force: force, report)
      return true
    }
    let makesDiff = to == .diff || to == nil && output.hasSuffix(".diff")
    if from == nil, PublishedDelta.isDelta(input) {
      guard makesDiff || to == nil && output == "-" else {
        throw DiffError(
          .usage, "is a delta of another tool, which is converted to a diff; name a .diff output",
          path: input)
      }
      try check(output: output, isNoneOf: [input] + (base.map { [$0] } ?? []))
      try importing(delta: try PublishedDelta(input), to: output, force: force, report)
      return true
    }
    guard makesDiff || from != nil else { return false }
    try check(output: output, isNoneOf: [input] + (base.map { [$0] } ?? []))
    try importing(input, to: output, force: force, report)
    return true
  }

  /// Refuses options that do not apply to checkpoints.
  func refuseForCheckpoint(_ input: String) throws {
    let options = [
      ("--to \(to?.rawValue ?? "")", to != nil && checkpointFormat == nil),
      ("--values", values != nil), ("--base", base != nil), ("--map", map.path != nil),
      ("--meta", !metadata.list.isEmpty),
    ]
    guard let option = options.first(where: \.1)?.0 else { return }
    throw DiffError(
      .usage, "\(option) applies to diffs only; the input is a checkpoint", path: input)
  }

  private func convert(
    _ diff: DiffReader, to output: String, force: Bool, _ report: ReportOptions
  ) throws {
    guard let target = try exportFormat(output) else {
      return try writeDiff(output, force: force) { sink in
        var summary = ExchangeSummary()
        summary.rounded = try Diffs.reencode(
          diff, into: sink, values: values, profile: profile, metadata: metadata.values)
        summary.tensors = diff.count { $0.isSparse }
        summary.heads = diff.count - summary.tensors
        summary.changes = diff.reduce(0) { $0 + ($1.isSparse ? $1.count : 0) }
        return summary
      } report: { summary, _ in
        try report.print(DiffConversionOutput(output, "diff", summary))
      }
    }
    guard output != "-" else {
      throw DiffError(.usage, "only a diff can be written to standard output; name a file")
    }
    guard values == nil else {
      throw DiffError(
        .usage, "--values applies to diffs only; '\(target.rawValue)' has a fixed type")
    }
    let base = try base.map { try CheckpointFile.open($0) }
    let summary = try Diffs.export(diff, to: output, target, base: base, overwriting: force)
    try report.print(DiffConversionOutput(output, target.rawValue, summary))
  }

  private func convert(
    _ diff: DiffReader, to output: String, _ delta: DeltaFormat, force: Bool,
    _ report: ReportOptions
  ) throws {
    guard values == nil else {
      throw DiffError(
        .usage, "--values applies to diffs only; a delta holds the bytes of the result")
    }
    guard output != "-" else {
      throw DiffError(.usage, "only a diff can be written to standard output; name a file")
    }
    guard let base else {
      throw DiffError(
        .usage,
        "needs checksums of the result, which are computed from the base; give --base FILE",
        path: output)
    }
    var options = DeltaOptions()
    options.checksum = checksum ?? .xxh3
    options.names = try map.read()
    let summary = try Diffs.export(
      diff, on: try CheckpointFile.open(base), to: output, delta, options, overwriting: force,
      progress: report.progress.show)
    try report.print(DiffConversionOutput(output, delta.rawValue, summary))
  }

  private func importing(
    delta: PublishedDelta, to output: String, force: Bool, _ report: ReportOptions
  ) throws {
    guard values == nil else {
      throw DiffError(
        .usage, "--values applies to additive diffs only; a delta holds exact bytes")
    }
    guard let base else {
      throw DiffError(
        .usage,
        "holds differences of bytes"
          + (delta.baseVersion.map { " from version \($0)" } ?? "")
          + ", so the base is required; give --base FILE", path: delta.path)
    }
    var options = ImportOptions()
    options.profile = profile
    options.names = try map.read()
    let show = report.progress.show
    try writeDiff(output, force: force) { sink in
      try Diffs.import(
        delta, on: try CheckpointFile.open(base), into: sink, options, progress: show)
    } report: { summary, _ in
      try report.print(DiffConversionOutput(output, "diff", summary))
    }
  }

  /// Returns the format to export to; nil for a diff.
  private func exportFormat(_ output: String) throws -> ExchangeFormat? {
    if let to {
      switch to {
      case .diff: return nil
      case .hdf5: return .sparseHDF5
      case .safetensors: return .shira
      default: return ExchangeFormat(rawValue: to.rawValue)
      }
    }
    if output == "-" || output.hasSuffix(".diff") { return nil }
    guard let format = ExchangeFormat(suffixOf: output) else {
      throw DiffError(
        .usage,
        "has no suffix of a known format; give --to, or a name with .diff, .npz, .safetensors or .h5",
        path: output)
    }
    return format
  }

  private func importing(
    _ input: String, to output: String, force: Bool, _ report: ReportOptions
  ) throws {
    let input = ExchangeFormat.adapterFile(in: input) ?? input
    guard let format = try from ?? ExchangeFormat.adapter(input) ?? ExchangeFormat(suffixOf: input)
    else {
      throw DiffError(.usage, "has no suffix of a known format; give --from", path: input)
    }
    guard let base else {
      throw DiffError(
        .usage,
        "holds no fingerprints of the base, which a diff requires; give --base FILE",
        path: input)
    }
    var options = ImportOptions()
    options.values = values
    options.profile = profile
    options.names = try map.read()
    let sink = try FileSink(output, overwriting: force)
    let summary = try Diffs.import(
      input, format, on: try CheckpointFile.open(base), into: sink, options)
    try sink.commit()
    try report.print(
      DiffConversionOutput(
        output, "diff", summary, vainRules: options.names.unused(by: summary.names)))
  }
}

/// The output of `convert` for a diff.
private struct DiffConversionOutput: CommandOutput {
  let output, format: String
  let tensors, heads: Int
  let changes, rounded: UInt64
  /// Rules of `--map` that no name of the input matches.
  let vainRules: [String]

  init(
    _ output: String, _ format: String, _ summary: ExchangeSummary, vainRules: [String] = []
  ) {
    self.output = output
    self.format = format
    self.vainRules = vainRules
    (tensors, heads) = (summary.tensors, summary.heads)
    (changes, rounded) = (summary.changes, summary.rounded)
  }

  var text: String {
    var text =
      "\(output.escapingControls): \(format), \(changes.counted("change")) "
      + "in \(tensors.counted("tensor"))"
    if heads > 0 { text += ", \(heads) whole" }
    if rounded > 0 { text += "; \(rounded.counted("value")) rounded" }
    return text + "\n" + MapOption.text(vainRules: vainRules)
  }
}

extension DiffEntry {
  /// True if elements change, rather than a whole tensor being inserted or deleted.
  fileprivate var isSparse: Bool { operation != .insert && operation != .delete }
}

extension DeltaChecksum: ExpressibleByArgument {}

extension ExchangeFormat: ExpressibleByArgument {
  /// Returns the file of weights in the folder of a PEFT adapter; nil if there is none.
  fileprivate static func adapterFile(in folder: String) -> String? {
    let file = folder + (folder.hasSuffix("/") ? "" : "/") + "adapter_model.safetensors"
    return FileStamp(file) == nil ? nil : file
  }

  /// Returns the format of a PEFT adapter that tensor names identify; nil if they identify none.
  fileprivate static func adapter(_ path: String) throws -> ExchangeFormat? {
    guard CheckpointFormat(suffixOf: path) == .safetensors else { return nil }
    let names = try CheckpointFile.open(path).tensors.map(\.name.description)
    return names.contains { $0.hasSuffix(".supertuning_values") } ? .superTuning : nil
  }

  /// Creates the format that a suffix stands for; nil if there is none.
  fileprivate init?(suffixOf path: String) {
    if path.lowercased().hasSuffix(".npz") {
      self = .cooNpz
      return
    }
    switch CheckpointFormat(suffixOf: path) {
    case .hdf5: self = .sparseHDF5
    case .safetensors: self = .shira
    case nil: return nil
    }
  }
}
