import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct ChildProcessTests {
  @Test("output, errors and exit code are caught")
  func output() throws {
    let child = try ChildProcess.run("sh", ["-c", "echo out; echo err >&2; exit 3"])
    #expect(child.ending == .exit(3))
    #expect(child.output == Array("out\n".utf8))
    #expect(child.errors == Array("err\n".utf8))
  }

  @Test("a program that runs too long is killed")
  func killed() throws {
    let child = try ChildProcess.run("tail", ["-f", "/dev/null"], killedAfter: 0.05)
    #expect(child.ending == .signal(9))
  }

  @Test("waiting ends when the program does", .timeLimit(.minutes(1)))
  func endsInTime() throws {
    let child = try ChildProcess.run("true", [], killedAfter: 1e6)
    #expect(child.ending == .exit(0))
  }

  @Test("output can go to a file")
  func file() throws {
    try Scratch.with { scratch in
      let child = try ChildProcess.run("echo", ["hello"], outputPath: scratch("out"))
      #expect(child.output == [])
      #expect(try contents(ofFile: scratch("out")) == Array("hello\n".utf8))
    }
  }

  @Test("memory is measured")
  func memory() throws {
    let child = try ChildProcess.run(
      "sh", ["-c", "head -c 50000000 /dev/zero | tail -c 50000000 >/dev/null"])
    #expect(child.peakMemory > 500_000)
  }

  @Test("a program that does not exist is an error")
  func missing() throws {
    let error = #expect(throws: DiffError.self) { try ChildProcess.run("/no/program", []) }
    #expect(error?.code == .notFound)
  }
}
