import SystemSupport
import Testing
import TestSupport

/// Runs of diffkit in which a call that changes a file fails, or ends the process (see `fault.c`).
struct Fault {
  /// The effect on the call.
  enum Kind: Hashable, CustomStringConvertible {
    /// It fails once.
    case error(Int)
    /// It fails, and so do all later calls that need space.
    case lasting(Int)
    /// The process is killed; half of a write is done.
    case kill
    /// The process gets a signal; the call waits for its effect, or completes.
    case signal(Int32, waits: Bool)

    var description: String {
      switch self {
      case .error(let number): "error \(number)"
      case .lasting(let number): "lasting error \(number)"
      case .kill: "kill"
      case .signal(let number, _): "signal \(number)"
      }
    }
  }

  /// A full device, and an error of the device.
  static let kinds: [Kind] = [.error(28), .error(5), .lasting(28), .kill]

  /// The library to preload, compiled once; nil if that is not possible.
  static let library: String? = {
    let path = "\(OutputFile.split(Diffkit.path).folder)/fault-\(UInt32.random(in: 0 ... .max)).so"
    let source = Repository.path + "/Tests/CommandTests/fault.c"
    for compiler in ["clang", "cc"] {
      let child = try? ChildProcess.run(
        compiler, ["-shared", "-fPIC", "-O1", "-o", path, source, "-ldl"])
      if child?.ending == .exit(0) { return path }
    }
    return nil
  }()

  let folder: Scratch
  let kind: Kind
  /// 1 if the file system has no unlinked files, 2 if it has no hard links either.
  var named = 0
  /// Options for `env`, which starts diffkit.
  var start: [String] = []

  /// Runs diffkit with the `at`-th call below the folder failing; nil if it made fewer. One that
  /// hangs is killed.
  func run(_ arguments: [String], at call: Int) throws -> ChildProcess? {
    let report = folder.path + ".report"
    removeFile(report)
    var settings = [
      "LD_PRELOAD=\(Fault.library ?? "")", "FAULT_UNDER=\(folder.path)/", "FAULT_AT=\(call)",
      "FAULT_REPORT=\(report)", "FAULT_NAMED=\(named)",
    ]
    switch kind {
    case .error(let number): settings.append("FAULT_ERRNO=\(number)")
    case .lasting(let number): settings += ["FAULT_ERRNO=\(number)", "FAULT_STAYS=1"]
    case .kill: settings.append("FAULT_ERRNO=0")
    case .signal(let number, let waits):
      settings += ["FAULT_SIGNAL=\(number)", "FAULT_WAITS=\(waits ? 1 : 0)"]
    }
    let child = try ChildProcess.run(
      "env", start + settings + [Diffkit.path] + arguments, killedAfter: 300)
    defer { removeFile(report) }
    return File.exists(report) ? child : nil
  }

  /// Runs diffkit without a fault and sends it a signal after some seconds.
  func interrupted(
    _ arguments: [String], after seconds: Double, by signal: Int32
  ) throws -> ChildProcess {
    let settings =
      named == 0 ? [] : ["LD_PRELOAD=\(Fault.library ?? "")", "FAULT_NAMED=\(named)"]
    return try ChildProcess.run(
      "env", settings + [Diffkit.path] + arguments, killedAfter: seconds, by: signal)
  }
}
