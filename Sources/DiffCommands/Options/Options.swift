import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import DiffStore
import RemoteFiles
import SystemSupport
import TensorCore

/// The option of commands that print text for people.
struct QuietOption: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Print errors only.")
  var quiet = false

  /// Prints a line unless `--quiet` is given.
  func say(_ line: String) throws {
    if !quiet { try StandardOutput.write(line.escapingControls + "\n") }
  }
}

/// The option of commands that print results.
struct JSONOption: ParsableArguments {
  @Flag(help: "Print the results as JSON.")
  var json = false
}

/// Options of commands that report what they did.
struct ReportOptions: ParsableArguments {
  @OptionGroup var quiet: QuietOption
  @OptionGroup var json: JSONOption

  /// Prints the output as JSON with `--json`, else as text unless `--quiet` is given.
  func print(_ output: some CommandOutput) throws {
    if json.json && !quiet.quiet {
      for note in output.notesInText {
        StandardError.say("note: \(note.abbreviated(to: 1000))")
      }
    }
    if json.json || !quiet.quiet { try output.print(json: json.json) }
  }

  /// True if progress output is suppressed.
  var isQuiet: Bool { quiet.quiet || json.json }

  /// A line that shows the progress of the command.
  var progress: ProgressLine { ProgressLine(quiet: isQuiet) }
}

/// The option of every command that finds tensors of a diff in a checkpoint.
struct MapOption: ParsableArguments {
  @Option(
    name: .customLong("map"),
    help: ArgumentHelp(
      "A file that maps tensor names to those of the checkpoint: lines of "
        + "NAME-IN-THE-DIFF<tab>NAME-IN-THE-CHECKPOINT or re:PATTERN<tab>REPLACEMENT.",
      valueName: "file"), completion: .file())
  var path: String?

  /// Reads the map; without the option, returns one without rules.
  func read() throws -> NameMap { try path.map { try NameMap($0) } ?? NameMap() }

  /// Returns lines that name the rules that match no name.
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

/// Opens a diff, which may be on a server; '-' is standard input, which is read into memory whole.
///
/// - Parameter fetchingAll: True if the whole of a diff on a server will be read.
func openDiff(
  _ path: String, _ network: RemoteOptions = RemoteOptions(), fetchingAll: Bool = true
) throws(DiffError) -> DiffReader {
  if let address = RemoteAddress(path) {
    return try openDiff(at: address, network, fetchingAll: fetchingAll)
  }
  guard path == "-" else { return try DiffReader(path) }
  return try DiffReader(MemorySource(StandardInput.readAll(), name: "standard input"))
}

/// Opens diffs, one of which may be '-', others on servers.
func openDiffs(_ paths: [String]) throws(DiffError) -> [DiffReader] {
  guard paths.count(where: { $0 == "-" }) <= 1 else {
    throw DiffError(.usage, "standard input holds one diff; name '-' once")
  }
  func isFile(_ path: String) -> Bool { path != "-" && RemoteAddress(path) == nil }
  var files = try DiffReader.open(paths.filter(isFile))[...]
  return try paths.map { (path) throws(DiffError) in
    guard isFile(path), let reader = files.popFirst() else { return try openDiff(path) }
    return reader
  }
}

/// Returns whether a file is a diff; standard input and files on servers are assumed to be diffs.
func isDiff(_ path: String) throws(DiffError) -> Bool {
  if path == "-" || RemoteAddress(path) != nil { return true }
  return Folder.exists(path) ? false : try DiffReader.isDiff(path)
}

/// Throws if the output is one of the inputs, under any name, since `--force` replaces outputs, if
/// it awaits `recover`, since its journal would no longer match, or if it is a file of a store.
func check(output: String, isNoneOf inputs: [String]) throws {
  try Journal.refuseOutput(output)
  try Store.refuseFile(output)
  for input in inputs where File.areSame(output, input) {
    throw DiffError(.usage, "is an input; choose another name for the output", path: output)
  }
}

extension Verification: ExpressibleByArgument {}
extension EncodingProfile: ExpressibleByArgument {}
