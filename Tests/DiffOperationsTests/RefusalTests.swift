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
    for wrong in ["a", "b", "c"] {
      // The element that the diff changes, so that `touched` sees it.
      let place = ["a": 1, "b": 0, "c": 3][wrong] ?? 0
      let other = MemoryCheckpoint(
        Steps.base.all.map { tensor in
          var tensor = tensor
          if tensor.name == wrong { tensor.bytes[place * 4] ^= 1 }
          return tensor
        })
      for direction in [Direction.apply, .revert] {
        let source = direction == .apply ? other : change(Steps.first, wrong, place)
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
    "what keeps no old bits cannot be reverted",
    arguments: [
      CreateMode.replace, .add(.all, values: .f16),
    ])
  func irreversible(mode: CreateMode) throws {
    let made = try diff(Steps.base, Steps.first, mode)
    let first = MemoryCheckpoint(Steps.first.all)
    #expect(refusal(first, [made], .revert)?.code == .unsupported)
    #expect(first.outputsBegun == 0)
  }

  @Test("a tensor to be inserted that is there with other elements is refused")
  func insertedAlready() throws {
    let head = vector("head", [1, 2])
    let made = try diff(Steps.base, MemoryCheckpoint(Steps.base.all + [head]))
    let error = refusal(MemoryCheckpoint(Steps.base.all + [vector("head", [1, 3])]), [made])
    #expect(error?.code == .wrongBase)
    #expect(error?.tensor == "head")
    let shape = refusal(MemoryCheckpoint(Steps.base.all + [vector("head", [1])]), [made])
    #expect(shape?.code == .mismatch)
  }

  @Test("a tensor to be deleted that has other elements is refused")
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

  @Test("an entry without the fingerprint of its base is refused, said so")
  func unknownBase() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    try writer.begin(DiffEntry("a", .xor, .f32, Shape(vector: 3)))
    try writer.append(at: 0, [1].span, [1, 0, 0, 0].span)
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
    _ checkpoint: MemoryCheckpoint, _ name: String, _ place: Int
  ) -> MemoryCheckpoint {
    MemoryCheckpoint(
      checkpoint.all.map { tensor in
        var tensor = tensor
        if tensor.name == name { tensor.bytes[place * 4] ^= 1 }
        return tensor
      })
  }
}
