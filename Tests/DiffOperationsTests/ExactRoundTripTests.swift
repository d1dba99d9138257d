import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct ExactRoundTripTests {
  @Test("apply gives the tuned tensors bit for bit, and revert the base's", arguments: 0..<12)
  func everyType(seed: Int) throws {
    var model = RandomModel(seed: seed)
    let density = [0.001, 0.01, 0.2, 1][seed % 4]
    let all = model.everything()
    try check(
      all, all.map { model.tuned($0, density: density) }, "seed \(seed)", contiguous: seed % 2 == 0)
  }

  @Test("tensors of several blocks and windows", arguments: [0.0001, 0.02, 1])
  func large(density: Double) throws {
    var model = RandomModel(seed: 77)
    let all = model.large()
    let tuned = all.map { model.tuned($0, density: density) }
    try check(all, tuned, "density \(density)", contiguous: true)
    try check(all, tuned, "density \(density)", contiguous: false)
  }

  @Test("changes in the first and last element of each block only")
  func edges() throws {
    let count = 6 << 20 + 7
    let base = MemoryTensor("w", .u8, [UInt8](repeating: 9, count: count))
    var tuned = base
    for block in 0...6 {
      tuned.bytes[block << 20] = 1
      tuned.bytes[min(count, (block + 1) << 20) - 1] = 2
    }
    try check([base], [tuned], "edges", contiguous: true)
  }

  @Test("tensors that are inserted and deleted, empty ones and scalars too", arguments: 0..<6)
  func comingAndGoing(seed: Int) throws {
    var model = RandomModel(seed: 100 + seed)
    var base: [MemoryTensor] = []
    var tuned: [MemoryTensor] = []
    for tensor in model.everything() {
      switch Int.random(in: 0..<4, using: &model.random) {
      case 0: base.append(tensor)
      case 1: tuned.append(tensor)
      case 2:
        base.append(tensor)
        tuned.append(tensor)
      default:
        base.append(tensor)
        tuned.append(model.tuned(tensor, density: 0.1))
      }
    }
    let words = (0..<(3 << 17)).map { _ in model.random.next() }
    base.append(MemoryTensor("goes", .f64, littleEndian(words)))
    tuned.append(MemoryTensor("comes", .bf16, littleEndian(words)))
    try check(base, tuned, "seed \(seed)", contiguous: seed % 2 == 0)
  }

  @Test("a diff between equal checkpoints is empty, and applies to anything")
  func nothing() throws {
    let empty = try diff(Steps.base, Steps.base)
    #expect(empty.isEmpty)
    #expect(same(try patched(Steps.base, [empty]), Steps.base))
  }

  @Test("unchanged tensors have no entry, and the summary counts the others")
  func summary() throws {
    let sink = MemorySink()
    let summary = try Diffs.create(from: Steps.first, to: Steps.second, into: sink)
    #expect(try DiffReader(bytes: sink.bytes).map(\.name) == ["a", "c"])
    #expect((summary.changedTensors, summary.tensors) == (2, 3))
    #expect((summary.changes, summary.elements) == (3, 9))
    #expect(summary.skipped == [])
  }

  private func check(
    _ base: [MemoryTensor], _ tuned: [MemoryTensor], _ what: String, contiguous: Bool
  ) throws {
    let before = MemoryCheckpoint(base, contiguous: contiguous)
    let after = MemoryCheckpoint(tuned, contiguous: contiguous)
    for mode in [CreateMode.xor, .replace] {
      let made = try diff(before, after, mode)
      for options in [ApplyOptions(), .touched] {
        #expect(same(try patched(before, [made], .apply, options), after), "\(what) \(mode)")
        let again = try patched(after, [made], .apply, options)
        #expect(again == nil, "\(what) \(mode): applied twice")
        guard mode == .xor else { continue }
        #expect(same(try patched(after, [made], .revert, options), before), "\(what) \(mode)")
        #expect(try patched(before, [made], .revert, options) == nil, "\(what): reverted twice")
      }
      try checkFingerprints(made, base, tuned)
    }
  }

  private func checkFingerprints(
    _ diff: DiffReader, _ base: [MemoryTensor], _ tuned: [MemoryTensor]
  ) throws {
    let before = Dictionary(uniqueKeysWithValues: base.map { ($0.name, $0.fingerprint) })
    let after = Dictionary(uniqueKeysWithValues: tuned.map { ($0.name, $0.fingerprint) })
    for entry in diff {
      #expect(entry.base == before[entry.name])
      #expect(entry.result == after[entry.name])
    }
  }
}
