import DiffOperations
import Platform
import StrictJSON
import SystemSupport
import TensorCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The result of a command, for people and for programs.
protocol CommandOutput: Encodable {
  /// The text for people; lines end with a newline.
  var text: String { get }
  /// The notes in the text, which standard error has where JSON is printed.
  var notesInText: [String] { get }
}

extension CommandOutput {
  /// None.
  var notesInText: [String] { [] }
}

extension CommandOutput {
  /// Prints the text, or the fields as JSON.
  func print(json: Bool) throws {
    guard json else { return try StandardOutput.write(text) }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let text = String(decoding: try encoder.encode(self), as: UTF8.self)
    // Line feeds are kept: the encoder puts them between values only.
    try StandardOutput.write(
      text.escapingControls { $0 == "\n" ? "\n" : $0.jsonEscape } + "\n")
  }
}

/// Standard output, for results. Unlike with `print`, a full device is an error.
enum StandardOutput {
  /// Writes what people or programs read; a reader that has had enough, such as `head`, ends the
  /// process as it ends others.
  static func write(_ text: String) throws(DiffError) {
    do { try write(Array(text.utf8)) } catch {
      if error.errno == EPIPE {
        signal(SIGPIPE, SIG_DFL)
        raise(SIGPIPE)
      }
      throw error
    }
  }

  static func write(_ bytes: [UInt8]) throws(DiffError) {
    try writeAll(bytes, to: STDOUT_FILENO, "standard output")
  }
}

/// Standard input, for data from a pipe.
enum StandardInput {
  /// Returns all bytes up to the end.
  static func readAll() throws(DiffError) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let got = unsafe buffer.withUnsafeMutableBytes {
        unsafe read(STDIN_FILENO, $0.baseAddress, $0.count)
      }
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw .system("cannot read", "standard input") }
      guard got > 0 else { return bytes }
      bytes += buffer[..<got]
    }
  }
}

/// Standard error, for messages. Write errors are ignored: there is no other way to report them.
enum StandardError {
  static func write(_ text: String) {
    try? writeAll(Array(text.utf8), to: STDERR_FILENO, "standard error")
  }

  /// Writes a line for people.
  static func say(_ line: String) { write(line.escapingControls + "\n") }

  static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}

private func writeAll(
  _ bytes: [UInt8], to descriptor: Int32, _ name: String
) throws(DiffError) {
  var done = 0
  while done < bytes.count {
    let put = unsafe bytes[done...].withUnsafeBytes {
      unsafe write(descriptor, $0.baseAddress, $0.count)
    }
    if put < 0 && errno == EINTR { continue }
    guard put > 0 else { throw .system("cannot write", name) }
    done += put
  }
}

/// The progress of a long operation on standard error: a line that is replaced, if that is a
/// terminal; or, for a program that sets `DIFFKIT_PROGRESS=lines`, ten lines a second at most.
final class ProgressLine {
  private let clock = ContinuousClock()
  private let started: ContinuousClock.Instant
  private var shown: ContinuousClock.Instant?
  private let isShown: Bool
  private let hasReader = ProgramFiles.environmentVariable("DIFFKIT_PROGRESS") == "lines"

  init(quiet: Bool) {
    isShown = !hasReader && !quiet && StandardError.isTerminal
    started = clock.now
  }

  deinit { if isShown && shown != nil { StandardError.write("\r\u{1B}[K") } }

  /// Shows a line as it is.
  func say(_ line: String) {
    guard isShown else { return }
    shown = clock.now
    StandardError.write("\r\u{1B}[K\(line)")
  }

  func show(_ progress: OperationProgress) {
    guard isShown || hasReader else { return }
    let now = clock.now
    // People see nothing in the first half second; programs get the beginning and the end.
    let isDue =
      shown.map { now - $0 > .milliseconds(100) }
      ?? (hasReader || now - started > .milliseconds(500))
    guard isDue || hasReader && progress.done == progress.total else { return }
    shown = now
    if hasReader {
      return StandardError.say("progress: \(progress.phase) \(progress.done) \(progress.total)")
    }
    let elapsed = (now - started) / .seconds(1)
    let rate = Double(progress.done) / max(elapsed, 1e-3)
    let left = Double(progress.total - min(progress.done, progress.total)) / max(rate, 1)
    let percent = progress.total == 0 ? 100 : progress.done * 100 / progress.total
    let seconds = Int(min(left, 1e9))
    StandardError.write(
      "\r\u{1B}[K\(progress.phase) \(percent) %  \(UInt64(rate).bytes)/s  \(seconds) s left")
  }
}
