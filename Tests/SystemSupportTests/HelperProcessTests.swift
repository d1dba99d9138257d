import SystemSupport
import TensorCore
import Testing
import TestSupport

/// A program at the other end of a channel.
@Suite struct HelperProcessTests {
  private func start(_ script: String) throws -> HelperProcess {
    try HelperProcess(
      "/bin/sh", ["-c", script], environment: ["PATH=/bin:/usr/bin"], file: File(#filePath))
  }

  @Test("messages are sent and received", arguments: [0, 1, 1000, 50_000])
  func echo(size: Int) throws {
    let helper = try start("cat >&0")
    var random = SplitMix64(seed: UInt64(size))
    let message = random.bytes(size)
    for _ in 0..<3 {
      #expect(try helper.call(message, limit: UInt64(size), seconds: 60) == message)
    }
  }

  @Test("a reply may be too long, too late or missing")
  func failures() throws {
    func failure(_ script: String, _ seconds: Double = 60) throws -> MessageChannel.Failure? {
      let helper = try start(script)
      return #expect(throws: MessageChannel.Failure.self) {
        try helper.call([1, 2, 3], limit: 2, seconds: seconds)
      }
    }
    #expect(try failure("cat >&0") == .tooLong)
    #expect(try failure("cat >/dev/null", 0.01) == .late)
    #expect(try failure("exit 3") == .closed)
    #expect(try start("exit 3").end(killing: false) == .exit(3))
    #expect(try start("cat >/dev/null").end(killing: true) == .signal(9))
    // One that does not end by itself, in particular not when its channel is closed.
    #expect(try start("exec tail -f /dev/null <&-").end(killing: false) == .signal(9))
  }

  @Test("the file is open under its descriptor")
  func file() throws {
    // A message of eight bytes, which are the first of this file.
    let helper = try start(
      "printf '\\010\\0\\0\\0\\0\\0\\0\\0' >&0; head -c 8 >&0 <&3; cat >/dev/null")
    let start = try contents(ofFile: #filePath).prefix(8)
    #expect(try helper.call([], limit: 8, seconds: 60) == Array(start))
  }
}
