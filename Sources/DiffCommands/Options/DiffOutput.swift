import DiffFormat
import Platform
import SystemSupport
import TensorCore

/// Writes a diff to `path`, which appears when it is complete, and reports it. If `path` is '-',
/// the diff goes to standard output and nothing is reported.
///
/// - Parameters:
///   - make: Writes the diff.
///   - report: Gets the result of `make` and the size of the file in bytes.
func writeDiff<Summary>(
  _ path: String, force: Bool, _ make: (any ByteSink) throws -> Summary,
  report: (Summary, UInt64) throws -> Void
) throws {
  // What is wrong with no input in particular is about the diff that is being made.
  func made(_ sink: any ByteSink, _ name: String) throws -> Summary {
    do { return try make(sink) } catch let error as DiffError { throw error.at(path: name) }
  }
  guard path != "-" else {
    _ = try made(try StandardOutputSink(), "standard output")
    return
  }
  let sink = try FileSink(path, overwriting: force)
  let summary = try made(sink, path)
  try sink.commit()
  try report(summary, try File(path).size)
}

/// Returns lines that name the attributes that a diff does not take over from its sources.
func leftOut(_ attributes: [String]) -> String {
  var lines = attributes.prefix(10).map { "left out: \($0.abbreviated())" }
  if attributes.count > 10 { lines.append("left out: \(attributes.count - 10) more") }
  return lines.map { $0.escapingControls + "\n" }.joined()
}

/// A sink that only counts.
final class CountingSink: ByteSink {
  private(set) var size: UInt64 = 0

  func write(_ bytes: Span<UInt8>) { size += UInt64(bytes.count) }
}

extension OutputOptions {
  /// Throws `exists` if the output exists and is not to be replaced, as writing it would.
  func checkOutput(_ path: String?) throws {
    guard let path, path != "-", !force, File.exists(path) || Folder.exists(path) else { return }
    throw DiffError(.exists, "exists already", path: path, remedy: .overwrite)
  }
}

extension OutputOptions {
  /// Returns the path of the output: the one specified, else '-' if the input is standard input,
  /// else one derived from the input.
  func path(after input: String, _ word: String) -> String {
    output ?? (input == "-" ? "-" : derivedName(input, [word]))
  }
}

/// A sink that writes a diff to standard output while it is made.
private final class StandardOutputSink: ByteSink {
  /// The header of the diff, held until the next write: refused inputs must write nothing.
  private var waiting: [UInt8]? = []

  init() throws(DiffError) {
    guard isatty(STDOUT_FILENO) == 0 else {
      throw DiffError(
        .usage, "is a terminal, and a diff is binary; name a file with -o FILE, or pipe the output",
        path: "standard output")
    }
  }

  func write(_ bytes: Span<UInt8>) throws(DiffError) {
    var copy = waiting ?? []
    copy.append(copying: bytes)
    guard waiting?.isEmpty != true else {
      waiting = copy
      return
    }
    waiting = nil
    try StandardOutput.write(copy)
  }
}
