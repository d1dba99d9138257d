import DiffCommands
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// Times two processes in alternating runs.
struct SideBySide {
  /// The number of runs of each, after a warm-up run.
  let runs: Int

  /// The time and peak memory of several runs of one program.
  struct Measured: CustomStringConvertible {
    let seconds, spread: Double
    let memory: UInt64

    init(_ times: [Double], _ memory: UInt64) {
      let sorted = times.sorted()
      seconds = times.median
      spread = (sorted[sorted.count - 1] - sorted[0]) / 2
      self.memory = memory
    }

    var description: String { "\(seconds.fixed(3)) s ± \(spread.fixed(3))" }
    var megabytes: String { "\((Double(memory) / 1e6).fixed(0)) MB" }
  }

  /// Returns the medians of two programs that run in turn.
  ///
  /// - Parameters:
  ///   - output: The output of both, which is removed before each run and at the end.
  ///   - toSync: True if a run ends with a `sync`.
  ///   - prepare: Called before each run.
  func measure(
    _ ours: () throws -> ChildProcess, _ peer: () throws -> ChildProcess, removing output: String,
    toSync: Bool = true, prepare: () throws -> Void = {}
  ) throws -> (Measured, Measured) {
    var times: [[Double]] = [[], []]
    var memory: [UInt64] = [0, 0]
    for run in 0...runs {
      for number in 0...1 {
        unsafe unlink(output)
        sync()
        try prepare()
        let time = try seconds(runs: 1) {
          let process = try number == 0 ? ours() : peer()
          memory[number] = max(memory[number], process.peakMemory)
          if toSync { sync() }
        }
        if run > 0 { times[number] += time }
      }
    }
    unsafe unlink(output)
    return (Measured(times[0], memory[0]), Measured(times[1], memory[1]))
  }

  /// Runs this executable as `diffkit`.
  ///
  /// - Parameter code: The largest exit code that is not a failure.
  @discardableResult
  static func diffkit(_ arguments: [String], upTo code: Int32 = 0) throws -> ChildProcess {
    try child(ProgramArguments.words[0], ["diffkit"] + arguments, upTo: code)
  }

  @discardableResult
  static func child(
    _ program: String, _ arguments: [String], upTo code: Int32 = 0
  ) throws -> ChildProcess {
    let result = try ChildProcess.run(program, arguments)
    guard case .exit(let ended) = result.ending, ended <= code else {
      let message = String(decoding: result.errors, as: UTF8.self)
      throw DiffError(.io, "\(program) \(arguments.joined(separator: " ")): \(message)")
    }
    return result
  }

  /// Runs `body` with a new folder, which is removed afterwards.
  static func withFolder(_ body: (String) throws -> Void) throws {
    var template = Array("diffkit-benchmark-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw DiffError.system("cannot create", "a folder")
    }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { _ = try? ChildProcess.run("rm", ["-r", folder]) }
    try body(folder)
  }
}
