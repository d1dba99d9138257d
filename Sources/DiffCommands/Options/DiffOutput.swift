import DiffFormat
import Platform
import SystemSupport
import TensorCore

/// Makes a diff at `path`, which appears when it is complete, and tells about it; '-' is standard
/// output, and nothing is said.
///
/// - Parameters:
///   - make: writes the diff.
///   - tell: gets what `make` returned, and the bytes of the file.
func writeDiff<Summary>(
  _ path: String, force: Bool, _ make: (any ByteSink) throws -> Summary,
  tell: (Summary, UInt64) throws -> Void
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
  try tell(summary, try File(path).size)
}

/// Lines that name attributes which a diff does not take over from the ones it is made of.
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
  /// Refuses an output that is there and not to be replaced, as writing it would.
  func checkOutput(_ path: String?) throws {
    guard let path, path != "-", !force, File.exists(path) || Folder.exists(path) else { return }
    throw DiffError(.exists, "exists already", path: path, remedy: .overwrite)
  }
}

extension OutputOptions {
  /// The output: as it was named, or after the input; what comes from standard input and has no
  /// name goes to standard output.
  func path(after input: String, _ word: String) -> String {
    output ?? (input == "-" ? "-" : derivedName(input, [word]))
  }
}

/// A diff that goes to standard output while it is made.
private final class StandardOutputSink: ByteSink {
  /// The header of the diff waits for what follows it: inputs that are refused leave nothing.
  private var waiting: [UInt8]? = []

  init() throws(DiffError) {
    guard isatty(STDOUT_FILENO) == 0 else {
      throw DiffError(
        .usage, "is a terminal, and a diff is no text; name a file with -o FILE, or pipe it on",
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
