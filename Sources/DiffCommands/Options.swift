import ArgumentParser
import DiffFormat
import DiffOperations
import TensorCore

/// Options of every command that takes long.
struct QuietOption: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Print errors only.")
  var quiet = false

  /// Prints a line for a person.
  func say(_ line: String) throws {
    if !quiet { try StandardOutput.write(line.escapingControls + "\n") }
  }
}

/// The option of every command that reports facts.
struct JSONOption: ParsableArguments {
  @Flag(help: "Print the same facts as JSON.")
  var json = false
}

/// The option of every command that finds tensors of a diff in a checkpoint.
struct MapOption: ParsableArguments {
  @Option(
    name: .customLong("map"),
    help: ArgumentHelp(
      "A file that says what tensors are called in the checkpoint: lines of "
        + "NAME-IN-THE-DIFF<tab>NAME-IN-THE-CHECKPOINT or re:PATTERN<tab>REPLACEMENT.",
      valueName: "file"))
  var path: String?

  /// The map, or one without rules.
  func read() throws -> NameMap { try path.map { try NameMap($0) } ?? NameMap() }
}

/// Options of every command that writes a file.
struct OutputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The file to write.")
  var output: String?

  @Flag(help: "Replace an existing output file.")
  var force = false
}

/// Refuses an output that is one of the inputs, under whatever name: `--force` replaces outputs.
func check(output: String, isNoneOf inputs: [String]) throws {
  for input in inputs where File.areSame(output, input) {
    throw DiffError(.usage, "is an input; choose another name for the output", path: output)
  }
}

extension Verification: ExpressibleByArgument {}
extension EncodingProfile: ExpressibleByArgument {}
