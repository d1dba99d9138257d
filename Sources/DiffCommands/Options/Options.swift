import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
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

/// Options of every command that does something and tells what.
struct ReportOptions: ParsableArguments {
  @OptionGroup var quiet: QuietOption
  @OptionGroup var json: JSONOption

  /// Prints what a person reads unless that is not wanted, or the same facts as JSON.
  func print(_ output: some CommandOutput) throws {
    if json.json || !quiet.quiet { try output.print(json: json.json) }
  }

  /// Whether nobody reads what is said meanwhile.
  var isQuiet: Bool { quiet.quiet || json.json }

  /// A line that tells how far the command is.
  var progress: ProgressLine { ProgressLine(quiet: isQuiet) }
}

/// The option of every command that finds tensors of a diff in a checkpoint.
struct MapOption: ParsableArguments {
  @Option(
    name: .customLong("map"),
    help: ArgumentHelp(
      "A file that says what tensors are called in the checkpoint: lines of "
        + "NAME-IN-THE-DIFF<tab>NAME-IN-THE-CHECKPOINT or re:PATTERN<tab>REPLACEMENT.",
      valueName: "file"), completion: .file())
  var path: String?

  /// The map, or one without rules.
  func read() throws -> NameMap { try path.map { try NameMap($0) } ?? NameMap() }

  /// Lines that name rules which no name matches.
  static func text(vainRules: [String]) -> String {
    vainRules.map { "no name matches the map's rule \($0)".escapingControls + "\n" }.joined()
  }
}

/// Options of every command that writes a file.
struct OutputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The file to write.", completion: .file())
  var output: String?

  @Flag(help: "Replace an existing output file.")
  var force = false
}

/// Opens a diff; '-' is standard input, which is read into memory as a whole.
func openDiff(_ path: String) throws(DiffError) -> DiffReader {
  guard path == "-" else { return try DiffReader(path) }
  return try DiffReader(MemorySource(StandardInput.readAll(), name: "standard input"))
}

/// Opens diffs, one of which may be '-'.
func openDiffs(_ paths: [String]) throws(DiffError) -> [DiffReader] {
  guard let piped = paths.firstIndex(of: "-") else { return try DiffReader.open(paths) }
  guard piped == paths.lastIndex(of: "-") else {
    throw DiffError(.usage, "standard input holds one diff; name '-' once")
  }
  var files = paths
  files.remove(at: piped)
  var readers = try DiffReader.open(files)
  readers.insert(try openDiff("-"), at: piped)
  return readers
}

/// Whether a file is a diff, as standard input is taken to be.
func isDiff(_ path: String) throws(DiffError) -> Bool {
  if path == "-" { return true }
  return Folder.exists(path) ? false : try DiffReader.isDiff(path)
}

/// Refuses an output that is one of the inputs, under whatever name: `--force` replaces outputs.
/// One that waits for `recover` is not replaced either: its journal would fit no more.
func check(output: String, isNoneOf inputs: [String]) throws {
  try Journal.refuseOutput(output)
  for input in inputs where File.areSame(output, input) {
    throw DiffError(.usage, "is an input; choose another name for the output", path: output)
  }
}

extension Verification: ExpressibleByArgument {}
extension EncodingProfile: ExpressibleByArgument {}
