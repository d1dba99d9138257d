import Platform
import SystemSupport
import TestSupport

/// Python tools for comparison in the same run. The environment variable DIFFKIT_PEERS_PYTHON
/// names the interpreter that has the packages.
enum Peers {
  static let python: String? = unsafe getenv("DIFFKIT_PEERS_PYTHON").map {
    unsafe String(cString: $0)
  }

  /// Returns the numbers that a script prints, one per line; nil, with a row in the report, if
  /// there is no interpreter or the script fails.
  static func run(_ script: String, _ arguments: [String], _ report: Report) -> [Double]? {
    guard let python else {
      report.row("peers in Python", "", "skipped: DIFFKIT_PEERS_PYTHON is not set")
      return nil
    }
    guard let child = try? ChildProcess.run(python, ["-c", script] + arguments),
      child.ending == .exit(0)
    else {
      report.row("peers in Python", "", "failed")
      return nil
    }
    return String(decoding: child.output, as: UTF8.self).split(separator: "\n").compactMap {
      Double($0)
    }
  }
}
