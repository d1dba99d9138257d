import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct UndoTests {
  /// Applies with an undo file, applies that to the result, and expects the base.
  private func check(
    _ base: MemoryCheckpoint, _ diffs: [DiffReader], _ what: String,
    _ options: ApplyOptions = ApplyOptions(), _ direction: Direction = .apply
  ) throws {
    try Scratch.with { scratch in
      var options = options
      options.undoPath = scratch("undo.diff")
      let result = try #require(try patched(base, diffs, direction, options))
      let undo = try DiffReader(scratch("undo.diff"))
      #expect(same(try patched(result, [undo]), base), "\(what)")
      #expect(try patched(base, [undo]) == nil, "\(what): undone twice")
      #expect(same(try patched(base, [undo], .revert), result), "\(what): undo undone")
      #expect(same(try patched(result, [undo], .apply, .touched), base), "\(what): touched")
      _ = try Diffs.verify(undo)
      #expect(try scratch.names == ["undo.diff"])
    }
  }

  @Test(
    "the undo of exact diffs, of every type and shape",
    arguments: [
      CreateMode.xor, .replace,
    ])
  func exact(mode: CreateMode) throws {
    var model = RandomModel(seed: 600)
    let all = model.everything() + model.large()
    let tuned = all.map { model.tuned($0, density: 0.01) }
    let (base, after) = (MemoryCheckpoint(all), MemoryCheckpoint(tuned))
    let made = try diff(base, after, mode)
    try check(base, [made], "\(mode)")
    try check(base, [made], "\(mode) touched", .touched)
  }

  @Test("the undo of additions, that subtraction could not restore", arguments: FloatType.allCases)
  func add(type: FloatType) throws {
    var random = SplitMix64(seed: 601)
    let (base, tuned) = (0..<2).map { _ in
      let numbers = (0..<300_000).map { _ in FloatOracle.narrowed(random.gaussian(), type) }
      return MemoryCheckpoint([
        MemoryTensor("w", type.elementType, FloatOracle.bytes(numbers, type))
      ])
    }.withPair
    let made = try diff(base, tuned, .add(.density(0.1), values: .f16))
    try check(base, [made], "\(type)")
    try check(base, [made, made], "\(type), a sum")
    try check(base, [made], "\(type), another base", .otherBase)
  }

  @Test("the undo of inserted and deleted tensors")
  func comingAndGoing() throws {
    let base = MemoryCheckpoint(
      Steps.base.all + [
        vector("goes", [1, 2, 3]), MemoryTensor("goes empty", .i8, []),
        MemoryTensor("big goes", .u8, [UInt8](repeating: 3, count: 5 << 20 + 1)),
      ])
    let tuned = MemoryCheckpoint(
      Steps.first.all + [
        vector("comes", [1, 2]), MemoryTensor("comes empty", .i8, []),
        MemoryTensor("comes scalar", .f64, .scalar, [UInt8](1...8)),
      ])
    let made = try diff(base, tuned)
    try check(base, [made], "coming and going")
    try check(tuned, [made], "going and coming", ApplyOptions(), .revert)
  }

  @Test("the undo of a chain reverts all of it at once")
  func chain() throws {
    let head = MemoryCheckpoint(Steps.second.all + [vector("head", [1])])
    let diffs = [
      try diff(Steps.base, Steps.first), try diff(Steps.first, Steps.second, .replace),
      try diff(Steps.second, head),
    ]
    try check(Steps.base, diffs, "chain")
  }

  @Test("an undo file that exists is not overwritten, and no output is written then")
  func existing() throws {
    try Scratch.with { scratch in
      try write([1, 2, 3], toFile: scratch("undo.diff"))
      var options = ApplyOptions()
      options.undoPath = scratch("undo.diff")
      let made = try diff(Steps.base, Steps.first)
      #expect(refusal(Steps.base, [made], .apply, options)?.code == .exists)
      #expect(try contents(ofFile: scratch("undo.diff")) == [1, 2, 3])
    }
  }

  @Test("the undo file is not the output, however its path is spelled")
  func output() throws {
    try Scratch.with { scratch in
      var options = ApplyOptions()
      options.overwriting = true
      options.undoPath = scratch("./output")
      let made = try diff(Steps.base, Steps.first)
      let error = #expect(throws: DiffError.self) {
        try Diffs.apply([made], to: Steps.base, output: scratch("output"), options)
      }
      #expect(error?.code == .usage)
      #expect(try scratch.names == [])
    }
  }

  @Test("apply without changes leaves an undo diff without entries, a failed one none")
  func nothing() throws {
    try Scratch.with { scratch in
      var options = ApplyOptions()
      options.undoPath = scratch("undo.diff")
      let made = try diff(Steps.base, Steps.first)
      #expect(try patched(Steps.first, [made], .apply, options) == nil)
      #expect(try DiffReader(scratch("undo.diff")).isEmpty)
      try remove(scratch("undo.diff"))
      #expect(refusal(Steps.second, [made], .apply, options) != nil)
      #expect(try scratch.names == [])
    }
  }
}

extension [MemoryCheckpoint] {
  fileprivate var withPair: (MemoryCheckpoint, MemoryCheckpoint) { (self[0], self[1]) }
}
