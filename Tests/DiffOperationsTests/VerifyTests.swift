import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct VerifyTests {
  @Test(
    "base, applied, partly applied and different are distinguished",
    arguments: [
      CreateMode.xor, .replace, .add(.all, values: .f32),
    ])
  func states(mode: CreateMode) throws {
    let made = try diff(Steps.base, Steps.first, mode)
    let mixed = MemoryCheckpoint([Steps.first.all[0], Steps.base.all[1], Steps.base.all[2]])
    let other = MemoryCheckpoint([
      vector("a", [1, 7, 3]), Steps.first.all[1], vector("c", [6, 7, 8, 0]),
    ])
    let cases: [(MemoryCheckpoint, CheckpointState, [TensorName])] = [
      (Steps.base, .base, []), (Steps.first, .applied, []), (mixed, .partlyApplied, []),
      (other, .different, ["a", "c"]),
      (MemoryCheckpoint([Steps.base.all[0], Steps.base.all[2]]), .different, ["b"]),
    ]
    for (checkpoint, state, differing) in cases {
      for verification in Verification.allCases where verification == .full || mode.isExact {
        let report = try Diffs.verify(made, against: checkpoint, verification)
        #expect(report.checkpoint == state, "\(verification)")
        #expect(report.differing == differing, "\(verification)")
      }
    }
    #expect(try Diffs.verify(made).checkpoint == nil)
  }

  @Test("if one tensor does not fit, the others are still compared")
  func misfits() throws {
    let made = try diff(Steps.base, Steps.first)
    let other = MemoryCheckpoint([
      MemoryTensor("a", .u32, littleEndian([1, 2, 3] as [Float])), vector("b", [4, 9]),
      Steps.base.all[2],
    ])
    let report = try Diffs.verify(made, against: other)
    #expect(report.checkpoint == .different)
    #expect(report.differing == ["a", "b"])
    #expect(report.differingCount == 2)
  }

  @Test("inserted and deleted tensors have states too", arguments: Verification.allCases)
  func whole(verification: Verification) throws {
    let base = MemoryCheckpoint(Steps.base.all + [vector("old", [1])])
    let tuned = MemoryCheckpoint(Steps.base.all + [vector("new", [2]), vector("empty", [])])
    let made = try diff(base, tuned)
    #expect(try Diffs.verify(made, against: base, verification).checkpoint == .base)
    #expect(try Diffs.verify(made, against: tuned, verification).checkpoint == .applied)
    let report = try Diffs.verify(
      made, against: MemoryCheckpoint(base.all + [vector("new", [3])]), verification)
    #expect(report.checkpoint == .different)
    #expect(report.differing == ["new"])
    let partly = MemoryCheckpoint(base.all + [vector("new", [2])])
    #expect(try Diffs.verify(made, against: partly, verification).checkpoint == .partlyApplied)
  }

  @Test("touched agrees with full, whatever state each tensor is in", arguments: 0..<20)
  func touched(seed: Int) throws {
    var model = RandomModel(seed: 700 + seed)
    let base = model.everything().filter { $0.shape.count > 0 }
    let tuned = base.map { model.tuned($0, density: 1) }
    let made = try diff(
      MemoryCheckpoint(base), MemoryCheckpoint(tuned), seed % 2 == 0 ? .xor : .replace)
    var state = seed / 2 % 3
    let mixed = zip(base, tuned).map { pair -> MemoryTensor in
      if seed >= 6 { state = Int.random(in: 0...(seed < 12 ? 1 : 2), using: &model.random) }
      guard state == 2 else { return state == 0 ? pair.0 : pair.1 }
      return model.tuned(pair.1, density: 1)
    }
    let checkpoint = MemoryCheckpoint(mixed)
    let full = try Diffs.verify(made, against: checkpoint, .full)
    let touched = try Diffs.verify(made, against: checkpoint, .touched)
    #expect(full == touched, "seed \(seed)")
    if seed < 6 {
      let expected: [CheckpointState] = [.base, .applied, .different]
      #expect(full.checkpoint == expected[seed / 2 % 3], "seed \(seed)")
    }
  }

  @Test("touched is refused for additions and for entries without a hash of old elements")
  func refused() throws {
    let made = try diff(Steps.base, Steps.first, .add(.all, values: .f16))
    let error = #expect(throws: DiffError.self) {
      try Diffs.verify(made, against: Steps.base, .touched)
    }
    #expect(error?.code == .unsupported)
    #expect(refusal(Steps.base, [made], .apply, .touched)?.code == .unsupported)
  }

  @Test("touched is refused for chains, whose later parts it cannot see")
  func chain() throws {
    let diffs = [try diff(Steps.base, Steps.first), try diff(Steps.first, Steps.second)]
    #expect(refusal(Steps.base, diffs, .apply, .touched)?.code == .unsupported)
  }

  @Test("entries, pages and values are counted")
  func counts() throws {
    let many = MemoryTensor("m", .u8, [UInt8](repeating: 0, count: 100_000))
    let changed = MemoryTensor("m", .u8, [UInt8](repeating: 1, count: 100_000))
    let made = try diff(
      MemoryCheckpoint(Steps.base.all + [many]), MemoryCheckpoint(Steps.first.all + [changed]))
    let report = try Diffs.verify(made)
    #expect((report.entries, report.pages, report.values) == (4, 7, 100_003))
  }

  @Test("any checkpoint is the base of an empty diff")
  func empty() throws {
    let made = try diff(Steps.base, Steps.base)
    #expect(try Diffs.verify(made, against: Steps.second).checkpoint == .base)
  }
}

extension CreateMode {
  fileprivate var isExact: Bool { if case .add = self { false } else { true } }
}
