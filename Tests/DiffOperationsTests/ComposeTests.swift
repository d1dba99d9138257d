import DiffFormat
import DiffOperations
import Kernels
import TensorCore
import Testing
import TestSupport

/// One diff with the effect of several: the same bytes as applying them in order.
@Suite struct ComposeTests {
  private func composed(_ diffs: [DiffReader]) throws -> DiffReader {
    let sink = MemorySink()
    _ = try Diffs.compose(diffs, into: sink)
    return try DiffReader(bytes: sink.bytes)
  }

  /// A model and `count` finetunes, each of the previous one.
  private func steps(_ random: inout RandomModel, _ count: Int) -> [MemoryCheckpoint] {
    var tensors = random.everything()
    var steps = [MemoryCheckpoint(tensors)]
    for _ in 0..<count {
      tensors = tensors.map { random.tuned($0, density: 0.2) }
      steps.append(MemoryCheckpoint(tensors))
    }
    return steps
  }

  @Test("a chain of one operation becomes one diff", arguments: 1...3, [CreateMode.xor, .replace])
  func chains(_ seed: Int, _ mode: CreateMode) throws {
    var random = RandomModel(seed: seed)
    let steps = steps(&random, 4)
    let diffs = try zip(steps, steps.dropFirst()).map { try diff($0, $1, mode) }
    let one = try composed(diffs)
    #expect(same(try patched(steps[0], [one]), steps[4]), "seed \(seed)")
    #expect(one.allSatisfy { ($0.operation == .xor) == (mode == .xor) })
    #expect(one.allSatisfy { $0.base != nil && $0.result != nil })
    if mode == .xor { #expect(same(try patched(steps[4], [one], .revert), steps[0])) }
  }

  @Test("a long chain, of several pages in each window, is applied and composed as step by step")
  func longChain() throws {
    var random = SplitMix64(seed: TestSeed.value &+ 20)
    var bytes = (0..<3 << 20).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    func model(_ bytes: [UInt8]) -> MemoryCheckpoint {
      MemoryCheckpoint([MemoryTensor("t", .u8, bytes)])
    }
    var steps = [model(bytes)]
    for _ in 0..<20 {
      for _ in 0..<100_000 { bytes[Int(random.next(below: UInt64(bytes.count)))] &+= 1 }
      steps.append(model(bytes))
    }
    let diffs = try zip(steps, steps.dropFirst()).map { try diff($0, $1) }
    #expect(diffs.allSatisfy { $0.first?.pages[.changes]?.count ?? 0 > 2 })
    #expect(same(try patched(steps[0], diffs), steps[20]))
    #expect(same(try patched(steps[20], diffs, .revert), steps[0]))
    #expect(same(try patched(steps[0], [try composed(diffs)]), steps[20]))
  }

  @Test("a change and its inverse compose to nothing")
  func thereAndBack() throws {
    var random = RandomModel(seed: 9)
    let steps = steps(&random, 1)
    let one = try composed([try diff(steps[0], steps[1]), try diff(steps[1], steps[0])])
    #expect(one.isEmpty)
  }

  @Test("new bits and XOR where both change")
  func mixed() throws {
    func model(_ bytes: [UInt8]) -> MemoryCheckpoint {
      MemoryCheckpoint([MemoryTensor("t", .u8, bytes)])
    }
    let (a, b, c) = (model([1, 2, 3, 4]), model([9, 2, 8, 4]), model([7, 2, 8, 4]))
    // XOR where new bits are, and new bits everywhere a XOR was.
    for modes in [(CreateMode.replace, CreateMode.xor)] {
      let one = try composed([try diff(a, b, modes.0), try diff(b, c, modes.1)])
      #expect(one.map(\.operation) == [.replace])
      #expect(same(try patched(a, [one]), c))
    }
    let d = model([9, 2, 8, 5])
    let mixed = [try diff(a, b, .replace), try diff(b, d, .xor)]
    let refusal = #expect(throws: DiffError.self) { try composed(mixed) }
    #expect(refusal?.code == .unsupported)
    #expect(refusal?.tensor == "t")
    #expect(refusal?.remedy == .base)
  }

  @Test("tensors that are inserted and deleted")
  func comingAndGoing() throws {
    let old = MemoryTensor("t", .u8, [1, 2, 3, 4])
    let tuned = MemoryTensor("t", .u8, [1, 9, 3, 4])
    let other = MemoryTensor("u", .f32, [0, 0, 0, 1])
    let without = MemoryCheckpoint([other])
    let (first, second) = (MemoryCheckpoint([old, other]), MemoryCheckpoint([tuned, other]))
    func check(
      _ steps: [MemoryCheckpoint], _ operations: [DiffOperation],
      _ location: SourceLocation = #_sourceLocation
    ) throws {
      let one = try composed(try zip(steps, steps.dropFirst()).map { try diff($0, $1) })
      #expect(one.map(\.operation) == operations, sourceLocation: location)
      guard !operations.isEmpty else { return }
      #expect(
        same(try patched(steps[0], [one]), steps[steps.count - 1]), sourceLocation: location)
      #expect(
        same(try patched(steps[steps.count - 1], [one], .revert), steps[0]),
        sourceLocation: location)
    }
    try check([without, first, second], [.insert])
    try check([first, second, without], [.delete])
    try check([without, first, without], [])
    try check([first, without, second], [.xor])
    try check([first, without, first], [])
    try check([first, second, without, first, second], [.xor])
    try check([without, first, without, second], [.insert])
  }

  @Test("diffs that do not follow each other are refused")
  func refused() throws {
    var random = RandomModel(seed: 3)
    let steps = steps(&random, 2)
    let (one, two) = (try diff(steps[0], steps[1]), try diff(steps[1], steps[2]))
    let refusal = #expect(throws: DiffError.self) { try composed([two, one]) }
    #expect(refusal?.code == .unsupported)
    #expect(refusal?.message.contains("order they were made") == true)
    let additive = try additiveDiff([("t", [2], [1, 1])])
    #expect(
      #expect(throws: DiffError.self) { try composed([additive]) }?.message.contains("merge")
        == true)
  }

  /// Fingerprints can be forged: they alone do not prove that one entry follows another.
  @Test("diffs of other types and shapes do not follow")
  func otherShapes() throws {
    let forged = Fingerprint(high: 1, low: 2)
    func step(_ type: ElementType, _ count: UInt64) throws -> DiffReader {
      let entry = DiffEntry(
        "t", .replace, type, Shape(vector: count), base: forged, result: forged)
      let bytes = [UInt8](repeating: 1, count: type.width)
      return try DiffReader(
        bytes: Contents([Contents.Tensor(entry, Changes([count - 1], bytes))]).encoded())
    }
    for next in [try step(.u8, 4), try step(.f32, 1000)] {
      let refusal = #expect(throws: DiffError.self) { try composed([try step(.f32, 4), next]) }
      #expect(refusal?.code == .unsupported)
    }
  }

  /// Blocks and pages of large tensors; chains that need the base, on files.
  @Test("large tensors are composed block by block")
  func large() throws {
    var random = RandomModel(seed: 5)
    let tensors = random.large()
    let tuned = tensors.map { random.tuned($0, density: 0.01) }
    let again = tuned.map { random.tuned($0, density: 0.01) }
    let (a, b, c) = (MemoryCheckpoint(tensors), MemoryCheckpoint(tuned), MemoryCheckpoint(again))
    let one = try composed([try diff(a, b), try diff(b, c)])
    #expect(same(try patched(a, [one]), c))
  }
}
