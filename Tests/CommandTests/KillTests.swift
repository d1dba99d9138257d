import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import TestSupport
import Testing

@Suite(.serialized) struct KillTests {
  /// A base of some 50 MB, and a diff of one percent of it.
  private func make(_ scratch: Scratch, _ random: inout SplitMix64) throws {
    let source = try openCheckpoint(Repository.base)
    let output = try source.makeOutput(at: scratch("base.h5"), rewriting: [], overwriting: false)
    let numbers = (0..<6_250_000).map { _ in random.next() }
    let big = try output.insert("weights", .f32, Shape(vector: UInt64(2 * numbers.count)))
    let bytes = littleEndian(numbers)
    try output.write(bytes.span, to: big, at: 0)
    try output.commit()
    let base = try openCheckpoint(scratch("base.h5"))
    let tuned = try base.makeOutput(at: scratch("tuned.h5"), rewriting: [], overwriting: false)
    var changed = bytes
    for element in 0..<bytes.count / 4 where random.next() % 100 == 0 { changed[element * 4] ^= 1 }
    try tuned.write(changed.span, to: big, at: 0)
    try tuned.commit()
    let sink = try FileSink(scratch("task.diff"))
    _ = try create(from: base, to: openCheckpoint(scratch("tuned.h5")), into: sink)
    try sink.commit()
  }

  // Inlined into what calls it, it crashes Swift 6.3.1 (CopyPropagation, "Found ownership error").
  @inline(never)
  private func hash(_ path: String) throws -> Fingerprint {
    let bytes = try contents(ofFile: path)
    return XXH3.hash128(bytes.span)
  }

  @Test("apply killed at any moment leaves no output or the right one, and nothing else")
  func apply() throws {
    try Scratch.with { scratch in
      let seed = UInt64.random(in: 0..<1000)
      var random = SplitMix64(seed: seed)
      try make(scratch, &random)
      let arguments = ["apply", scratch("base.h5"), scratch("task.diff"), "-o", scratch("out.h5")]
      let base = try hash(scratch("base.h5"))
      let whole = try ChildProcess.run(Diffkit.path, arguments)
      #expect(whole.ending == .exit(0))
      let right = try hash(scratch("out.h5"))
      try remove(scratch("out.h5"))
      let inputs = ["base.h5", "task.diff", "tuned.h5"]
      var killed = 0
      for round in 0..<40 {
        let delay = random.unit() * whole.seconds * 1.1
        let child = try ChildProcess.run(Diffkit.path, arguments, killedAfter: delay)
        let what = "seed \(seed) round \(round) after \(delay) s"
        if child.ending == .signal(9) { killed += 1 } else { #expect(child.ending == .exit(0)) }
        let names = try scratch.names
        if names == inputs {
          #expect(child.ending == .signal(9), "\(what)")
          continue
        }
        #expect(names == (inputs + ["out.h5"]).sorted(), "\(what)")
        let found = try hash(scratch("out.h5"))
        #expect(found == right, "\(what)")
        try remove(scratch("out.h5"))
      }
      #expect(killed > 0)
      #expect(try hash(scratch("base.h5")) == base)
    }
  }
}
