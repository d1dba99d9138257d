#if Distributed
import Foundation
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// `train` by a rank on each of two hosts, which are network namespaces of this machine.
@Suite(
  .serialized, .enabled(if: TwoHosts.obstacle() == nil, "\(TwoHosts.obstacle() ?? "")"))
struct TwoHostsTests {
  @Test("two hosts train as two ranks of one machine, and send what is counted")
  func trains() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let more = ["--method", "full", "--force"]
      let here = try task.train("task", ranks: 2, more)
      let run = try TwoHosts.run(scratch, task.arguments("task", more))
      #expect(run.code == 0, "\(run.errors)")
      let there = try RankedTask.Trained(scratch, "task")
      #expect(there.bytes == here.bytes && there.losses == here.losses)
      let counted = Double(there.traffic.reduce(0, +))
      for sent in run.sent {
        // Frames of 1500 bytes have headers; mpirun's daemons and set-up speak too.
        #expect(sent >= counted && sent <= 1.1 * counted + 1e6, "\(sent) for \(counted)")
      }
    }
  }

  @Test(
    "10 ms of latency change no byte",
    .enabled(if: TwoHosts.obstacle(delay: "10ms") == nil, "tc has no netem here"))
  func latency() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let here = try task.train("task", ranks: 2, ["--force"])
      let run = try TwoHosts.run(
        scratch, task.arguments("task", ["--force"]), variables: ["DELAY=10ms"])
      #expect(run.code == 0, "\(run.errors)")
      #expect(try RankedTask.Trained(scratch, "task").bytes == here.bytes)
    }
  }

  @Test("a cut cable ends the ranks of both hosts after --timeout, within 10 s; the state stays")
  func cut() throws {
    try Scratch.with { scratch in
      let task = try RankedTask(scratch)
      let whole = try task.train("task", ranks: 2, ["--force"])
      let run = try TwoHosts.run(
        scratch, task.arguments("task", ["--force", "--save-every", "1e-9", "--timeout", "3"]),
        variables: ["CUT=" + scratch("task.diff.state")])
      #expect(run.code != 0)
      let after = try #require(
        Double(
          String(contentsOfFile: scratch("after"), encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(after < 10, "\(after) s")
      let lines = run.errors.split(separator: "\n").filter { $0.hasPrefix("diffkit: ") }
      #expect(lines.count == 1, "\(run.errors)")
      #expect(lines.first?.contains("rank 0 on one: ") == true, "\(run.errors)")
      let resumed = try task.train("task", ranks: 2, ["--force", "--resume"])
      #expect(resumed.bytes == whole.bytes && resumed.losses == whole.losses)
    }
  }
}

/// Runs of `two_hosts.sh`.
private enum TwoHosts {
  private static let script = Repository.path + "/Tests/CommandTests/two_hosts.sh"

  /// Why there can be no two hosts here; nil: there can.
  static func obstacle(delay: String = "") -> String? {
    guard let tried = try? ChildProcess.run("env", ["DELAY=" + delay, "bash", script, "check"])
    else { return "there is no bash" }
    return tried.ending == .exit(0)
      ? nil : "no network namespaces: \(String(decoding: tried.errors, as: UTF8.self))"
  }

  /// Runs `diffkit` on both.
  static func run(
    _ scratch: Scratch, _ arguments: [String], variables: [String] = []
  ) throws -> (code: Int32, errors: String, sent: [Double]) {
    let answer = Answer(
      try ChildProcess.run(
        "env", variables + ["bash", script, "run", scratch.path, Diffkit.path] + arguments))
    let sent = try String(contentsOfFile: scratch("sent"), encoding: .utf8)
    return (answer.code, answer.errors, sent.split(separator: "\n").compactMap { Double($0) })
  }
}
#endif
