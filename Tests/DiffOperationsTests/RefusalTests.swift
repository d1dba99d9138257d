import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct RefusalTests {
  @Test("a wrong base is refused by the name of the tensor", arguments: [false, true])
  func wrongBase(touched: Bool) throws {
    let made = try diff(Steps.base, Steps.first)
    let options = touched ? ApplyOptions.touched : ApplyOptions()
    for wrong in ["a", "b", "c"] as [TensorName] {
      // The element that the diff changes, so that `touched` sees it.
      let index = ["a": 1, "b": 0, "c": 3][wrong] ?? 0
      let other = MemoryCheckpoint(
        Steps.base.all.map { tensor in
          var tensor = tensor
          if tensor.name == wrong { tensor.bytes[index * 4] ^= 1 }
          return tensor
        })
      for direction in [Direction.apply, .revert] {
        let source = direction == .apply ? other : change(Steps.first, wrong, index)
        let error = refusal(source, [made], direction, options)
        #expect(error?.code == .wrongBase)
        #expect(error?.tensor == wrong)
      }
    }
  }

  @Test("a change where the diff changes nothing is seen by full verification only")
  func untouched() throws {
    let made = try diff(Steps.base, Steps.first)
    let other = change(Steps.base, "a", 0)
    #expect(refusal(other, [made])?.code == .wrongBase)
    #expect(same(try patched(other, [made], .apply, .touched), change(Steps.first, "a", 0)))
  }

  @Test(
    "some tensors at the base and some at the result: partly applied",
    arguments: [
      false, true,
    ])
  func mixture(touched: Bool) throws {
    let made = try diff(Steps.base, Steps.first)
    let options = touched ? ApplyOptions.touched : ApplyOptions()
    for mask in 1...6 {
      let mixed = MemoryCheckpoint(
        zip(Steps.base.all, Steps.first.all).enumerated().map { index, pair in
          mask >> index & 1 == 1 ? pair.1 : pair.0
        })
      for direction in [Direction.apply, .revert] {
        let error = refusal(mixed, [made], direction, options)
        #expect(error?.code == .partlyApplied)
        #expect(error?.tensor != nil)
      }
    }
  }

  @Test("a missing tensor, another type and another shape are a mismatch")
  func mismatch() throws {
    let made = try diff(Steps.base, Steps.first)
    let others: [MemoryTensor?] = [
      nil, MemoryTensor("b", .i32, littleEndian([4, 5] as [Float])),
      MemoryTensor("b", .f32, try #require(Shape([1, 2])), littleEndian([4, 5] as [Float])),
      vector("b", [4, 5, 6]),
    ]
    for other in others {
      let tensors = Steps.base.all.filter { $0.name != "b" } + (other.map { [$0] } ?? [])
      let error = refusal(MemoryCheckpoint(tensors, path: "there"), [made])
      #expect(error?.code == .mismatch)
      #expect(error?.tensor == "b")
      #expect(error?.path == "there")
    }
  }

  @Test(
    "entries without old bits cannot be reverted",
    arguments: [
      CreateMode.replace, .add(.all, values: .f16),
    ])
  func irreversible(mode: CreateMode) throws {
    let made = try diff(Steps.base, Steps.first, mode)
    let first = MemoryCheckpoint(Steps.first.all)
    #expect(refusal(first, [made], .revert)?.code == .unsupported)
    #expect(first.outputsBegun == 0)
  }

  @Test("a tensor at its result is not added to again, even if any base is allowed")
  func addedTwice() throws {
    let made = try diff(Steps.base, Steps.first, .add(.all, values: .f32))
    #expect(try patched(Steps.first, [made], .apply, .otherBase) == nil)
    // Another base, one tensor of which has the additions already.
    let mixed = MemoryCheckpoint([
      vector("a", [9, 9, 9]), Steps.first.all[1], vector("c", [1, 1, 1, 1]),
    ])
    let error = refusal(mixed, [made], .apply, .otherBase)
    #expect(error?.code == .partlyApplied)
    #expect(try Diffs.verify(made, against: Steps.first).checkpoint == .applied)
    let other = MemoryCheckpoint([
      vector("a", [9, 9, 9]), vector("b", [0, 0]), vector("c", [1, 1, 1, 1]),
    ])
    let sum = MemoryCheckpoint([
      vector("a", [9, 9.5, 9]), vector("b", [0.5, 0]), vector("c", [1, 1, 1, 1.5]),
    ])
    #expect(same(try patched(other, [made], .apply, .otherBase), sum))
  }

  @Test("none of several additive diffs is added twice")
  func oneOfTwoAdded() throws {
    let mode = CreateMode.add(.all, values: .f32)
    let two = MemoryCheckpoint([
      vector("a", [1, 2, 4]), vector("b", [4, 6]), vector("c", [6, 8, 8, 9]),
    ])
    let diffs = try [diff(Steps.base, Steps.first, mode), diff(Steps.base, two, mode)]
    for done in [Steps.first, two] {
      let error = refusal(done, diffs, .apply, .otherBase)
      #expect(error?.code == .partlyApplied)
      #expect(error?.message.contains("added twice") == true)
    }
  }

  @Test("additions that change nothing are at the base and at the result")
  func neutral() throws {
    let entry = DiffEntry(
      "a", .add(values: .f32, scale: 0), .f32, Steps.base.all[0].shape,
      base: Steps.base.all[0].fingerprint, result: Steps.base.all[0].fingerprint)
    let made = try DiffReader(
      bytes: Contents([.init(entry, Changes([1], littleEndian([0 as Float])))]).encoded())
    for options in [ApplyOptions(), .otherBase] {
      #expect(same(try patched(Steps.base, [made], .apply, options), Steps.base))
    }
  }

  @Test(
    "a tensor goes only if the diff can bring it back", arguments: [Direction.apply, .revert])
  func inconsistent(direction: Direction) throws {
    let (kept, stored) = (vector("head", [1, 2]), vector("head", [1, 3]))
    let entry =
      direction == .apply
      ? DiffEntry("head", .delete, .f32, kept.shape, base: kept.fingerprint)
      : DiffEntry("head", .insert, .f32, kept.shape, result: kept.fingerprint)
    let made = try DiffReader(
      bytes: Contents([.init(entry, Changes(whole: stored.bytes, width: 4))]).encoded())
    let checkpoint = MemoryCheckpoint([kept, vector("other", [1])])
    let goes = refusal(checkpoint, [made], direction)
    #expect(goes?.code == .checksum)
    #expect(goes?.tensor == "head")
    #expect(goes?.message.contains("stored elements") == true)
    let without = MemoryCheckpoint([vector("other", [1])])
    let comes = refusal(without, [made], direction == .apply ? .revert : .apply)
    #expect(comes?.code == .checksum)
    let error = #expect(throws: DiffError.self) { try Diffs.verify(made) }
    #expect(error?.code == .checksum)
    #expect(error?.tensor == "head")
  }

  @Test("reverting reports the missing fingerprint, and elements that are not restored")
  func revertMessages() throws {
    let first = Steps.first.all[0]
    var entry = DiffEntry("a", .xor, .f32, first.shape, base: Steps.base.all[0].fingerprint)
    func made() throws -> DiffReader {
      try DiffReader(bytes: Contents([.init(entry, Changes([0], [1, 0, 0, 0]))]).encoded())
    }
    let unknown = refusal(Steps.first, [try made()], .revert)
    #expect(unknown?.code == .unsupported)
    #expect(unknown?.message.contains("no fingerprint of its result") == true)
    entry.result = first.fingerprint
    let wrong = refusal(Steps.first, [try made()], .revert)
    #expect(wrong?.code == .checksum)
    #expect(wrong?.message.contains("restored elements") == true)
  }

  @Test("a tensor to insert that exists with other elements is refused")
  func insertedAlready() throws {
    let head = vector("head", [1, 2])
    let made = try diff(Steps.base, MemoryCheckpoint(Steps.base.all + [head]))
    let error = refusal(MemoryCheckpoint(Steps.base.all + [vector("head", [1, 3])]), [made])
    #expect(error?.code == .wrongBase)
    #expect(error?.tensor == "head")
    let shape = refusal(MemoryCheckpoint(Steps.base.all + [vector("head", [1])]), [made])
    #expect(shape?.code == .mismatch)
  }

  @Test("a tensor to delete that has other elements is refused")
  func deletedOther() throws {
    let made = try diff(MemoryCheckpoint(Steps.base.all + [vector("old", [1])]), Steps.base)
    let error = refusal(MemoryCheckpoint(Steps.base.all + [vector("old", [2])]), [made])
    #expect(error?.code == .wrongBase)
    #expect(error?.tensor == "old")
  }

  @Test("only additions may be applied to another base")
  func otherBase() throws {
    let other = change(Steps.base, "a", 1)
    for mode in [CreateMode.xor, .replace] {
      let made = try diff(Steps.base, Steps.first, mode)
      #expect(refusal(other, [made], .apply, .otherBase)?.code == .wrongBase)
    }
    let sum = try diff(Steps.base, Steps.first, .add(.all, values: .f16))
    #expect(refusal(other, [sum])?.code == .wrongBase)
    #expect(try patched(other, [sum], .apply, .otherBase) != nil)
  }

  @Test("an entry without the fingerprint of its base is refused, with the reason")
  func unknownBase() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    try writer.begin(DiffEntry("a", .xor, .f32, Shape(vector: 3)))
    try writer.append(ChangeRun(at: 0, [1], [1, 0, 0, 0]))
    try writer.end()
    try writer.finish()
    let made = try DiffReader(bytes: sink.bytes)
    for options in [ApplyOptions(), .touched, .otherBase] {
      let error = refusal(Steps.base, [made], .apply, options)
      #expect(error?.code == .unsupported)
      #expect(error?.tensor == "a")
    }
  }

  @Test("create refuses another type by name")
  func createMismatch() throws {
    let other = MemoryTensor("b", .u32, [0, 0, 0, 0, 0, 0, 0, 0])
    let error = #expect(throws: DiffError.self) {
      try diff(Steps.base, MemoryCheckpoint(Steps.base.all.filter { $0.name != "b" } + [other]))
    }
    #expect(error?.code == .unsupported)
    #expect(error?.tensor == "b")
  }

  private func change(
    _ checkpoint: MemoryCheckpoint, _ name: TensorName, _ index: Int
  ) -> MemoryCheckpoint {
    MemoryCheckpoint(
      checkpoint.all.map { tensor in
        var tensor = tensor
        if tensor.name == name { tensor.bytes[index * 4] ^= 1 }
        return tensor
      })
  }
}
