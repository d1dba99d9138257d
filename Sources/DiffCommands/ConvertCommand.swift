import ArgumentParser
import Checkpoints
import DiffOperations
import TensorCore

/// `diffkit convert`.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a checkpoint as one of another format, bit for bit.",
    discussion: """
      The format is told by the suffix of the output: .h5, .hdf5 or .safetensors. Names get the \
      separator of the format, '/' in HDF5, '.' in safetensors; a diff made on either applies to \
      the other.

        diffkit convert base.h5 base.safetensors
      """)

  @Argument(help: "The checkpoint to read.") var input: String
  @Argument(help: "The checkpoint to write.") var output: String

  @Option(help: "The format to write, if the suffix does not tell: hdf5 or safetensors.")
  var format: CheckpointFormat?

  @Flag(help: "Replace an existing output file.")
  var force = false

  @OptionGroup var quiet: QuietOption

  func run() throws {
    guard let format = format ?? CheckpointFormat(suffixOf: output) else {
      throw DiffError(
        .usage, "no suffix of a checkpoint format; give --format hdf5 or --format safetensors",
        path: output)
    }
    try check(output: output, isNoneOf: [input])
    let source = try openCheckpoint(input)
    let line = ProgressLine(quiet: quiet.quiet)
    let summary = try convert(
      source, to: output, format, overwriting: force, progress: line.show)
    try quiet.say(
      "\(output): \(format.rawValue), \(summary.tensors) tensors, \(summary.bytes.bytes)")
    for object in summary.skipped { try quiet.say("left out: \(object.name), \(object.reason)") }
  }
}

extension CheckpointFormat: ExpressibleByArgument {}
