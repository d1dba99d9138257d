import Checkpoints
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite(.serialized, .enabled(if: Fault.library != nil, "needs a C compiler and LD_PRELOAD"))
struct SignalTests {
  @Test("SIGINT, SIGTERM and SIGHUP end a command by the signal, and leave no files")
  func outputs() throws {
    try Scratch.with { scratch in
      let seed = TestSeed.value
      var random = SplitMix64(seed: seed)
      let model = try BigModel(scratch, &random, elements: 6_250_000)
      let names = try scratch.names
      for arguments in [
        ["apply", model.base, model.diff, "-o", scratch("out")],
        ["apply", model.base, model.diff, "-o", scratch("out"), "--force", "--undo", scratch("u")],
        ["create", model.base, model.tuned, "-o", scratch("out")],
        ["convert", model.base, scratch("out.safetensors")],
        ["apply", model.base, model.diff, "--in-place"],
      ] {
        let isInPlace = arguments.last == "--in-place"
        func clear() throws {
          for name in try scratch.names where !names.contains(name) { removeFile(scratch(name)) }
          if isInPlace { _ = try Diffkit.run("revert", model.base, model.diff, "--in-place") }
        }
        let whole = try ChildProcess.run(Diffkit.path, arguments)
        #expect(whole.ending == .exit(0))
        let outputs = try scratch.names.filter { !names.contains($0) }
        let right = try outputs.map { try contents(ofFile: scratch($0)) }
        try clear()
        // When the output has just been created, and when its first bytes are written.
        for call in [1, 2] {
          for (number, signal) in ([2, 15, 1] as [Int32]).enumerated() {
            let fault = Fault(
              folder: scratch, kind: .signal(signal, waits: true), named: number % 3)
            let child = try #require(try fault.run(arguments, at: call))
            let what: Comment = "signal \(signal) at call \(call) of \(arguments)"
            #expect(child.ending == .signal(signal), what)
            #expect(try scratch.names == names, what)
          }
        }
        // And at any moment.
        for (round, signal) in [2, 15, 1, 2].enumerated() {
          let child = try Fault(folder: scratch, kind: .error(0), named: round % 3)
            .interrupted(arguments, after: random.unit() * whole.seconds, by: Int32(signal))
          let what: Comment = "seed \(seed), signal \(signal), \(arguments), round \(round)"
          if child.ending != .exit(0) {
            #expect(child.ending == .signal(Int32(signal)), what)
            // The signal may have come after the change, before it was reported.
            let left = try scratch.names.filter { !names.contains($0) }
            #expect(left == [] || left == outputs, what)
            if left == outputs {
              #expect(try outputs.map { try contents(ofFile: scratch($0)) } == right, what)
            }
          }
          try clear()
        }
      }
    }
  }

  @Test("a signal that the caller ignores is ignored")
  func ignored() throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: 3)
      let model = try BigModel(scratch, &random, elements: 4_000_000)
      let fault = Fault(
        folder: scratch, kind: .signal(2, waits: false), start: ["--ignore-signal=INT"])
      let child = try fault.run(["apply", model.base, model.diff, "-o", scratch("o")], at: 1)
      #expect(child?.ending == .exit(0))
    }
  }
}
