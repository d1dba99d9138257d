import Checkpoints
import SystemSupport
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `kill -9` at random moments, one in each of DIFFKIT_KILLS equal parts of a run; 300 are
/// required.
@Suite(.serialized) struct KillTests {
  private static let rounds =
    ProcessInfo.processInfo.environment["DIFFKIT_KILLS"].flatMap { Int($0) } ?? 40

  // If inlined, it crashes Swift 6.3.1 (CopyPropagation, "Found ownership error").
  @inline(never)
  private func hash(_ path: String) throws -> Fingerprint {
    let bytes = try contents(ofFile: path)
    return XXH3.hash128(bytes.span)
  }

  /// Runs `body` with a model and the description of a round.
  private func withModel(
    elements: Int, _ body: (Scratch, BigModel, inout SplitMix64, String) throws -> Void
  ) throws {
    try Scratch.with { scratch in
      let seed = TestSeed.value
      var random = SplitMix64(seed: seed)
      let model = try BigModel(scratch, &random, elements: elements)
      try body(scratch, model, &random, "seed \(seed)")
    }
  }

  @Test("apply, killed at any moment, leaves no output or the right one, and nothing else")
  func apply() throws {
    try withModel(elements: 12_500_000) { scratch, model, random, seed in
      let arguments = ["apply", model.base, model.diff, "-o", scratch("out.h5")]
      let base = try hash(model.base)
      let whole = try ChildProcess.run(Diffkit.path, arguments)
      #expect(whole.ending == .exit(0))
      let right = try hash(scratch("out.h5"))
      try remove(scratch("out.h5"))
      let inputs = try scratch.names
      var killed = 0
      for round in 0..<Self.rounds {
        let delay = (Double(round) + random.unit()) / Double(Self.rounds) * whole.seconds * 1.1
        let child = try ChildProcess.run(Diffkit.path, arguments, killedAfter: delay)
        let what: Comment = "\(seed) round \(round) after \(delay) s"
        if child.ending == .signal(9) { killed += 1 } else { #expect(child.ending == .exit(0)) }
        let names = try scratch.names
        if names == inputs {
          #expect(child.ending == .signal(9), what)
          continue
        }
        #expect(names == (inputs + ["out.h5"]).sorted(), what)
        let found = try hash(scratch("out.h5"))
        #expect(found == right, what)
        try remove(scratch("out.h5"))
      }
      #expect(killed > 0)
      #expect(try hash(model.base) == base)
      print("apply -o: \(killed) of \(Self.rounds) runs killed, all old or new")
    }
  }

  @Test("apply --in-place killed at any moment leaves the old file or the new one, or recover does")
  func inPlace() throws {
    try withModel(elements: 2_500_000) { scratch, model, random, seed in
      let old = try hash(model.base)
      let new = try hash(model.tuned)
      let commands = [
        ["apply", model.base, model.diff, "--in-place"],
        ["revert", model.base, model.diff, "--in-place"],
      ]
      // The moments are spread over a whole run and beyond, since the disk may be slow at times.
      var longest = [0.0, 0.0]
      for number in [0, 1, 0, 1, 0, 1] {
        let whole = try ChildProcess.run(Diffkit.path, commands[number])
        #expect(whole.ending == .exit(0))
        longest[number] = max(longest[number], whole.seconds)
      }
      let inputs = try scratch.names
      var (killed, recovered, finished, isNew) = (0, 0, 0, false)
      for round in 0..<Self.rounds {
        let number = isNew ? 1 : 0
        let share = (Double(round) + random.unit()) / Double(Self.rounds)
        // The last run is not killed.
        let delay = round == Self.rounds - 1 ? 600 : share * longest[number] * 1.3
        let child = try ChildProcess.run(Diffkit.path, commands[number], killedAfter: delay)
        let what: Comment = "\(seed) round \(round), \(commands[number][0]) after \(delay) s"
        if child.ending == .signal(9) { killed += 1 } else { #expect(child.ending == .exit(0)) }
        let isWhole = child.ending == .exit(0)
        if isWhole { finished += 1 }
        if try scratch.names != inputs {
          #expect(try scratch.names == (inputs + ["base.h5" + Journal.suffix]).sorted(), what)
          recovered += 1
          // The recovery is killed too, and started again.
          _ = try ChildProcess.run(
            Diffkit.path, ["recover", model.base], killedAfter: random.unit() * 0.05)
          expectSuccess(try Diffkit.run("recover", model.base))
          let found = try hash(model.base)
          #expect(found == (isNew ? old : new), what)
        }
        let found = try hash(model.base)
        #expect(found == old || found == new, what)
        if isWhole { #expect(found == (isNew ? old : new), what) }
        isNew = found == new
        #expect(try scratch.names == inputs, what)
      }
      #expect(killed > 0 && finished > 0)
      print(
        "apply and revert --in-place: of \(Self.rounds) runs \(killed) killed, \(recovered) of them "
          + "completed by recover, \(finished) finished; all old or new")
    }
  }
}
