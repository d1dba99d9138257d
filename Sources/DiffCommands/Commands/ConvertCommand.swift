import ArgumentParser
import Checkpoints
import DiffOperations
import TensorCore

/// `diffkit convert`.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Convert a checkpoint or a diff to another format.",
    discussion: """
      The suffix of the output determines the format: .h5, .hdf5 or .safetensors. Names use the \
      separator of the format, '/' in HDF5 and '.' in safetensors; a diff made on one applies to \
      the other.

        diffkit convert base.h5 base.safetensors
        diffkit convert tuned.safetensors tuned-bf16.safetensors --type bf16

      Diffs are converted to and from NumPy archives, PEFT adapters and sparse HDF5; imported \
      diffs get their fingerprints from the base. '--to shira' writes the folder that PEFT loads, \
      or the weights alone if the output ends in .safetensors; SHiRA and Super-Tuning adapters \
      can be read.

        diffkit convert task.diff task.npz
        diffkit convert task.diff adapter --to shira
        diffkit convert adapter task.diff --base base.safetensors

      Deltas published by training tools are converted too: folders 'weight_vNNNNNN' of slime, \
      miles, SGLang and Stitch, and files of Fireworks (arc_v1, arc_v2). The base is the version \
      before.

        diffkit convert weight_v000007 step.diff --base version-6
        diffkit convert step.diff weight_v000007 --to delta-xor --base version-6
      """)

  @Argument(help: "The checkpoint or diff to read.", completion: .file()) var input: String
  @Argument(help: "The checkpoint or diff to write.", completion: .file()) var output: String

  @Option(help: "The format to write, if the suffix does not determine it: hdf5 or safetensors.")
  var format: CheckpointFormat?

  @Option(
    help: "Convert the float tensors of a checkpoint to this type, rounding to nearest even.")
  var type: FloatType?

  @Option(help: "Tensors of a checkpoint to leave out: a glob of their names; may be repeated.")
  var except: [String] = []

  @Flag(help: "Replace an existing output file.")
  var force = false

  @OptionGroup var diffs: DiffConversion
  @OptionGroup var report: ReportOptions

  func run() throws {
    if let format, try isDiff(input) {
      throw DiffError(
        .usage, "--format \(format.rawValue) applies to checkpoints only; for a diff, give --to",
        path: input)
    }
    if let type, try isDiff(input) {
      throw DiffError(
        .usage, "--type \(type) applies to checkpoints only; for a diff, give --values", path: input
      )
    }
    if !except.isEmpty, try isDiff(input) {
      throw DiffError(
        .usage, "--except applies to checkpoints only; for a diff, use 'extract --except'",
        path: input)
    }
    if try diffs.run(input, output, force: force, report) { return }
    try diffs.refuseForCheckpoint(input)
    guard let format = format ?? diffs.checkpointFormat ?? CheckpointFormat(suffixOf: output) else {
      throw DiffError(
        .usage, "has no checkpoint suffix; give --format hdf5 or --format safetensors",
        path: output)
    }
    try check(output: output, isNoneOf: [input])
    let source = try CheckpointFile.open(input)
    let summary = try source.convert(
      to: output, format, type: type, except: except.map { NamePattern($0) }, overwriting: force,
      progress: report.progress.show)
    try report.print(
      ConvertOutput(
        output: output, format: format.rawValue, tensors: summary.tensors, bytes: summary.bytes,
        converted: summary.converted, infinite: summary.infinite,
        skipped: summary.skipped.map { .init($0) }))
  }
}

/// The output of `convert`.
private struct ConvertOutput: CommandOutput {
  let output, format: String
  let tensors: Int
  let bytes: UInt64
  /// The numbers of tensors whose type changed, and of their elements that became infinite.
  let converted: Int
  let infinite: UInt64
  let skipped: [CheckpointInspection.Skipped]

  var text: String {
    let lines =
      ["\(output): \(format), \(tensors.counted("tensor")), \(bytes.bytes)"]
      + (converted > 0 ? ["\(converted.counted("tensor")) changed type"] : [])
      + (infinite > 0 ? ["\(infinite.counted("element")) became infinite"] : [])
      + skipped.map { "left out: \($0.name), \($0.reason)" }
    return lines.map { $0.escapingControls + "\n" }.joined()
  }
}

extension CheckpointFormat: ExpressibleByArgument {}
