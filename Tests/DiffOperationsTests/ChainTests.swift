import DiffFormat
import DiffOperations
import Testing
import TestSupport

@Suite struct ChainTests {
  @Test("two exact diffs in one call are applied one after the other", arguments: 0..<8)
  func chain(seed: Int) throws {
    var model = RandomModel(seed: 200 + seed)
    let start = seed == 0 ? model.large() : model.everything()
    let first = start.map { model.tuned($0, density: 0.01) }
    let second = first.map { model.tuned($0, density: 0.01) }
    let (a, b, c) = (MemoryCheckpoint(start), MemoryCheckpoint(first), MemoryCheckpoint(second))
    let mode = seed % 2 == 0 ? CreateMode.xor : .replace
    let diffs = [try diff(a, b), try diff(b, c, mode)]
    #expect(same(try patched(a, diffs), c), "seed \(seed)")
    #expect(try patched(c, diffs) == nil, "seed \(seed)")
    if mode == .xor {
      #expect(same(try patched(c, diffs, .revert), a), "seed \(seed)")
      #expect(try patched(a, diffs, .revert) == nil, "seed \(seed)")
    }
  }

  @Test("a wrong order is refused")
  func order() throws {
    let diffs = [try diff(Steps.first, Steps.second), try diff(Steps.base, Steps.first)]
    #expect(refusal(Steps.base, diffs)?.code == .unsupported)
    #expect(refusal(Steps.second, diffs, .revert)?.code == .unsupported)
  }

  @Test("the middle of a chain is neither base nor result")
  func middle() throws {
    let diffs = [try diff(Steps.base, Steps.first), try diff(Steps.first, Steps.second)]
    #expect([.wrongBase, .partlyApplied].contains(refusal(Steps.first, diffs)?.code))
  }

  @Test("a tensor inserted by one diff may be changed by the next")
  func insertion() throws {
    let first = MemoryCheckpoint(Steps.base.all + [vector("head", [1, 2])])
    let second = MemoryCheckpoint(Steps.base.all + [vector("head", [1, 3])])
    let diffs = [try diff(Steps.base, first), try diff(first, second)]
    #expect(same(try patched(Steps.base, diffs), second))
    #expect(try patched(second, diffs) == nil)
    #expect(same(try patched(second, diffs, .revert), Steps.base))
  }

  @Test("a tensor changed by one diff may be deleted by the next")
  func deletion() throws {
    let second = MemoryCheckpoint(Steps.first.all.filter { $0.name != "b" })
    let diffs = [try diff(Steps.base, Steps.first), try diff(Steps.first, second)]
    #expect(same(try patched(Steps.base, diffs), second))
    #expect(try patched(second, diffs) == nil)
    #expect(same(try patched(second, diffs, .revert), Steps.base))
  }

  @Test("a tensor that is inserted and deleted within the diffs is refused")
  func comingAndGoing() throws {
    let head = MemoryCheckpoint(Steps.base.all + [vector("head", [1, 2])])
    let diffs = [try diff(Steps.base, head), try diff(head, Steps.base)]
    #expect(refusal(Steps.base, diffs)?.code == .unsupported)
  }

  @Test("a chain that restores one tensor is recognized at its base and at its result")
  func back() throws {
    let (a, b, c) = (Steps.base.all[0], Steps.first.all[1], Steps.second.all[2])
    let last = MemoryCheckpoint([a, b, c])
    let diffs = [try diff(Steps.base, Steps.first), try diff(Steps.first, last)]
    #expect(same(try patched(Steps.base, diffs), last))
    #expect(try patched(last, diffs) == nil)
    #expect(same(try patched(last, diffs, .revert), Steps.base))
    #expect(try patched(Steps.base, diffs, .revert) == nil)
  }

  @Test("diffs of different tensors may come in any order")
  func disjoint() throws {
    let (a, b) = (Steps.base.all, Steps.first.all)
    let one = MemoryCheckpoint([b[0], a[1], a[2]])
    let other = MemoryCheckpoint([a[0], b[1], b[2]])
    let diffs = [try diff(Steps.base, one), try diff(Steps.base, other)]
    #expect(same(try patched(Steps.base, diffs), Steps.first))
    #expect(same(try patched(Steps.base, diffs.reversed()), Steps.first))
  }
}
