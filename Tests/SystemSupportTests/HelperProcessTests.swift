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

  @Test("messages go there and come back", arguments: [0, 1, 1000, 50_000])
  func echo(size: Int) throws {
    let helper = try start("cat >&0")
    var random = SplitMix64(seed: UInt64(size))
    let message = random.bytes(size)
    for _ in 0..<3 {
      #expect(try helper.call(message, limit: UInt64(size), seconds: 60) == message)
    }
  }

  @Test("an answer may be too long, too late or none")
  func failures() throws {
    func failure(_ script: String, _ seconds: Double = 60) throws -> MessageChannel.Failure? {
      let helper = try start(script)
      return #expect(throws: MessageChannel.Failure.self) {
        try helper.call([1, 2, 3], limit: 2, seconds: seconds)
      }
    }
    #expect(try failure("cat >&0") == .tooLong)
    #expect(try failure("sleep 60", 0.1) == .late)
    #expect(try failure("exit 3") == .closed)
    #expect(try start("exit 3").end(killing: false) == .exit(3))
    #expect(try start("sleep 60").end(killing: true) == .signal(9))
    #expect(try start("exec sleep 60 <&-").end(killing: false) == .signal(9))
  }

  @Test("the file is there, under its number")
  func file() throws {
    // A message of eight bytes, which are the first of this file.
    let helper = try start("printf '\\010\\0\\0\\0\\0\\0\\0\\0' >&0; head -c 8 >&0 <&3; sleep 9")
    #expect(try helper.call([], limit: 8, seconds: 60) == Array("import T".utf8))
  }
}

@Suite struct SharedWorkTests {
  @Test("every piece is done once, whoever asks for it")
  func once() throws {
    let work = SharedWork(count: 1000)
    let done = ResidentBytes(count: 1000)
    try parallelFor(16) { (thread) throws(DiffError) in
      try work.finish(thread * 50..<thread * 50 + 250) { piece throws(DiffError) in
        done.change(at: piece, count: 1) { $0[0] += 1 }
      }
      let bytes = done.span
      for piece in thread * 50..<thread * 50 + 250 { #expect(bytes[piece] == 1) }
    }
  }

  @Test("what failed is tried again")
  func failing() throws {
    let work = SharedWork(count: 3)
    var tries = 0
    let error = #expect(throws: DiffError.self) {
      try work.finish(0..<3) { piece throws(DiffError) in
        tries += 1
        if piece == 1 { throw DiffError(.io, "no") }
      }
    }
    #expect(error?.message == "no")
    try work.finish(0..<3) { _ throws(DiffError) in tries += 1 }
    #expect(tries == 4)
  }
}
