import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Pruning, scaling and extracting.
@Suite struct PruneTests {
  private let head = DiffFormatHead(name: "head", bytes: [1, 2, 3])

  private func sample() throws -> DiffReader {
    try additiveDiff(
      [
        ("a", [10], [0, 3, -1, 0, 2, 0, 0, 0.5, 0, 0]),
        ("b", [2, 5], [1, 0, -4, 0, 0, 0, 2, 0, 0, -2]),
      ], metadata: ["task": "x"], heads: [head])
  }

  private func pruned(
    _ diff: DiffReader, _ selection: Selection, perTensor: Bool = false
  ) throws -> (DiffReader, PruneSummary) {
    let sink = MemorySink()
    var options = PruneOptions(selection)
    options.perTensor = perTensor
    let summary = try Diffs.prune(diff, into: sink, options)
    return (try DiffReader(bytes: sink.bytes), summary)
  }

  @Test("the largest of all tensors are kept")
  func global() throws {
    let (diff, summary) = try pruned(try sample(), .density(0.2))
    // ⌊0.2 · 20⌋ = 4: 4, 3, and of four twos the first ones by name, then position.
    #expect(try diff.dense("a", count: 10) == [0, 3, 0, 0, 2, 0, 0, 0, 0, 0])
    #expect(try diff.dense("b", count: 10) == [0, 0, -4, 0, 0, 0, 2, 0, 0, 0])
    #expect(summary.kept == 4)
    #expect(summary.changes == 8)
    #expect(summary.normShare == (33 / (14.25 + 25) as Double).squareRoot())
    let entry = try #require(diff.entry(named: "head"))
    #expect(try diff.contents(of: entry).streams[.changes]?.values == head.bytes)
    #expect(diff.metadata["task"] == "x")
    #expect(try diff.entry(named: "a")?.base == sample().entry(named: "a")?.base)
  }

  @Test("the largest of each tensor, or those above a threshold, are kept")
  func local() throws {
    let (each, _) = try pruned(try sample(), .density(0.1), perTensor: true)
    #expect(try each.dense("a", count: 10) == [0, 3, 0, 0, 0, 0, 0, 0, 0, 0])
    #expect(try each.dense("b", count: 10) == [0, 0, -4, 0, 0, 0, 0, 0, 0, 0])
    let (least, summary) = try pruned(try sample(), .threshold(2))
    #expect(try least.dense("a", count: 10) == [0, 3, 0, 0, 2, 0, 0, 0, 0, 0])
    #expect(summary.kept == 5)
    let (all, whole) = try pruned(try sample(), .density(1))
    #expect(whole.normShare == 1)
    #expect(try all.dense("b", count: 10) == sample().dense("b", count: 10))
    let (none, nothing) = try pruned(try sample(), .density(0))
    #expect(none.map(\.name) == ["head"])
    #expect(nothing.normShare == 0)
  }

  @Test("exact diffs are neither pruned nor scaled")
  func exactDiffs() throws {
    let entry = DiffEntry("t", .xor, .f32, Shape(vector: 4))
    let exact = try DiffReader(
      bytes: Contents([Contents.Tensor(entry, Changes([1], [1, 2, 3, 4]))]).encoded())
    let pruning = #expect(throws: DiffError.self) { try pruned(exact, .density(0.5)) }
    #expect(pruning?.code == .unsupported)
    #expect(pruning?.tensor == "t")
    let scaling = #expect(throws: DiffError.self) {
      try Diffs.scale(exact, by: 2, into: MemorySink())
    }
    #expect(scaling?.code == .unsupported)
  }

  @Test("scaling is exact where the encoding allows it", arguments: [2, 0.125, -1, 0.3, -3, 1e-3])
  func scaling(_ factor: Double) throws {
    var random = SplitMix64(seed: 2)
    let diff = try MergeTests.random(&random, density: 0.2, grid: 1000)
    let sink = MemorySink()
    let summary = try Diffs.scale(diff, by: factor, into: sink)
    let scaled = try DiffReader(bytes: sink.bytes)
    let isPower = factor.magnitude.significand == 1
    #expect(isPower == (summary.rounded == 0))
    for (name, shape) in MergeTests.shapes {
      let count = Int(shape.reduce(1, *))
      let before = try diff.dense(name, count: count)
      for (a, b) in zip(before, try scaled.dense(name, count: count)) {
        #expect(isPower ? b == a * factor : abs(b - a * factor) <= abs(a * factor) / 2048)
      }
    }
    #expect(scaled.allSatisfy { $0.base != nil && $0.result == nil })
    for factor in [0, Double.infinity, .nan] {
      #expect(throws: DiffError.self) { try Diffs.scale(diff, by: factor, into: MemorySink()) }
    }
  }

  @Test("extracting copies entries unchanged", arguments: 1...20)
  func extracting(_ seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    let contents = Contents.random(&random)
    guard contents.tensors.count > 1 else { return }
    let diff = try DiffReader(bytes: contents.encoded())
    let sink = MemorySink()
    let taken = try Diffs.extract(
      diff, tensors: [NamePattern("t*")], except: [NamePattern("t0")], into: sink)
    var expected = contents
    expected.tensors.removeFirst()
    var made = try DiffReader(bytes: sink.bytes).contents()
    #expect(made.metadata["diffkit.extract.parent"] == diff.identity.description)
    made.metadata["diffkit.extract.parent"] = nil
    #expect(made == expected, "seed \(seed)")
    #expect(taken.tensors == expected.tensors.count)
  }

  @Test("patterns that match nothing, or leave nothing, are refused")
  func vainPatterns() throws {
    let diff = try sample()
    let refusal = #expect(throws: DiffError.self) {
      try Diffs.extract(diff, tensors: [NamePattern("haed")], into: MemorySink())
    }
    #expect(refusal?.code == .usage)
    #expect(throws: DiffError.self) {
      try Diffs.extract(diff, tensors: [], except: [NamePattern("*")], into: MemorySink())
    }
  }
}
