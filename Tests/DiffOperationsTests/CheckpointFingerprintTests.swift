import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct CheckpointFingerprintTests {
  private let base = MemoryCheckpoint([
    .init("a.w", .u16, [1, 0, 2, 0, 3, 0, 4, 0]), .init("b", .f32, [0, 0, 128, 63]),
    .init("gone", .u8, [7, 8]), .init("grows", .u8, [1, 2]),
  ])
  private let tuned = MemoryCheckpoint([
    .init("a.w", .u16, [1, 0, 2, 0, 3, 0, 5, 0]), .init("b", .f32, [0, 0, 0, 64]),
    .init("new", .u8, [9]), .init("grows", .u8, [1, 2, 3]),
  ])

  private func made(
    _ base: MemoryCheckpoint, _ tuned: MemoryCheckpoint, _ mode: CreateMode = .xor
  ) throws -> DiffReader {
    var options = CreateOptions()
    options.mode = mode
    options.skipsNonfloat = true
    let sink = MemorySink()
    let summary = try Diffs.create(from: base, to: tuned, into: sink, options)
    let reader = try DiffReader(bytes: sink.bytes)
    #expect(reader.checkpoints == summary.checkpoints)
    return reader
  }

  @Test(
    "create reports both checkpoints, in every exact mode", arguments: [CreateMode.xor, .replace])
  func exact(mode: CreateMode) throws {
    let found = try #require(try made(base, tuned, mode).checkpoints)
    #expect(found.base == (try base.fingerprint()))
    #expect(found.result == (try tuned.fingerprint()))
    #expect(found.base != found.result)
  }

  @Test("the result of an additive diff is what it makes, not what it was made from")
  func additive() throws {
    let reader = try made(base, tuned, .add(.threshold(0.5), values: .f16))
    let found = try #require(reader.checkpoints)
    #expect(found.base == (try base.fingerprint()))
    #expect(found.result != (try tuned.fingerprint()))
    let result = try #require(try patched(base, [reader]))
    #expect(found.result == (try result.fingerprint()))
  }

  @Test("a checkpoint whose names differ only in ':0' has no fingerprint")
  func ambiguous() throws {
    let twice = MemoryCheckpoint([.init("a", .u8, [1]), .init("a:0", .u8, [2])])
    #expect(try twice.fingerprint() == nil)
    #expect(try made(twice, twice).checkpoints == nil)
  }

  @Test("compose keeps the ends of a chain, and omits them if a link does not follow")
  func composed() throws {
    let middle = MemoryCheckpoint([
      .init("a.w", .u16, [1, 0, 2, 0, 3, 0, 6, 0]), .init("b", .f32, [0, 0, 128, 63]),
      .init("gone", .u8, [7, 8]), .init("grows", .u8, [1, 2]),
    ])
    let (one, two) = (try made(base, middle), try made(middle, tuned))
    func composed(_ diffs: [DiffReader]) throws -> CheckpointFingerprints? {
      let sink = MemorySink()
      _ = try Diffs.compose(diffs, into: sink)
      return try DiffReader(bytes: sink.bytes).checkpoints
    }
    let chain = try #require(try composed([one, two]))
    #expect(chain.base == (try base.fingerprint()))
    #expect(chain.result == (try tuned.fingerprint()))
    let sink = MemorySink()
    _ = try Diffs.extract(two, tensors: [NamePattern("a.w")], into: sink)
    let part = try DiffReader(bytes: sink.bytes)
    #expect(part.checkpoints == nil)
    #expect(try composed([one, part]) == nil)
  }

  @Test("compare reports the fingerprints of both")
  func compared() throws {
    let comparison = try base.compare(with: tuned)
    #expect(comparison.fingerprint == (try base.fingerprint()))
    #expect(comparison.otherFingerprint == (try tuned.fingerprint()))
  }
}
