import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Elements of 4 and 6 bits in safetensors files.
@Suite struct PackedTypeTests {
  private static let types: [ElementType] = [.f4, .f6e2m3, .f6e3m2]

  private func tensor(
    _ name: TensorName, _ type: ElementType, _ extents: [UInt64], _ random: inout SplitMix64
  ) throws -> MemoryTensor {
    let shape = try #require(Shape(extents, of: type))
    return MemoryTensor(name, type, shape, random.bytes(Int(shape.count) * type.width))
  }

  private func make(_ path: String, _ tensors: [MemoryTensor]) throws -> any Checkpoint {
    let (output, stored) = try CheckpointFile.make(
      at: path, .safetensors, tensors.map { ($0.name, $0.type, $0.shape) })
    for (tensor, row) in zip(tensors, stored) {
      try output.write(tensor.bytes.span, to: row, at: 0)
    }
    try output.commit()
    return try CheckpointFile.open(path)
  }

  /// A model and a finetune of it: a sparse change, an inserted and a deleted tensor, another
  /// shape, rows that are not whole units, more than a block.
  private func models(
    _ type: ElementType, _ scratch: Scratch
  ) throws -> (base: any Checkpoint, tuned: any Checkpoint) {
    var random = SplitMix64(seed: UInt64(type.rawValue))
    var tensors = [
      try tensor("big", type, [1 << 10, 1 << 12], &random), try tensor("kept", type, [8], &random),
      try tensor("odd", type, [4, 3, 2], &random), try tensor("ragged", type, [4, 5], &random),
      try tensor("rows", type, [3, 8], &random),
      MemoryTensor("w", .f32, littleEndian([1, 2] as [Float])),
    ]
    let base = try make(scratch("base"), tensors + [try tensor("gone", type, [4], &random)])
    for index in stride(from: 5, to: tensors[0].bytes.count, by: 9973) {
      tensors[0].bytes[index] ^= 0x30
    }
    tensors[2].bytes[1] ^= 1
    tensors[3] = try tensor("ragged", type, [6, 6], &random)
    tensors[4] = try tensor("rows", type, [2, 12], &random)
    return (base, try make(scratch("tuned"), tensors + [try tensor("new", type, [2, 2], &random)]))
  }

  @Test("their diffs are exact in both directions, and declared in the header", arguments: types)
  func roundTrip(type: ElementType) throws {
    try Scratch.with { scratch in
      let (base, tuned) = try models(type, scratch)
      for mode in [CreateMode.xor, .replace] {
        var options = CreateOptions()
        options.mode = mode
        let bytes = try diffBytes(base, tuned, options)
        #expect(bytes[8..<16] == [1, 0, 1, 0, 1, 0, 0, 0])
        let made = try DiffReader(bytes: bytes)
        #expect(made.hasPackedElements)
        #expect(made.map(\.name) == ["big", "gone", "new", "odd", "ragged", "rows"])
        let big = try #require(made.entry(named: "big"))
        #expect(big.shape.extents == [1 << 10, 1 << 12])
        #expect(try changes(made, big).at.allSatisfy { $0 < big.shape.count })
        var apply = ApplyOptions()
        apply.undoPath = scratch("undo \(mode)")
        _ = try Diffs.apply([made], to: base, output: scratch("made \(mode)"), apply)
        let output = try CheckpointFile.open(scratch("made \(mode)"))
        #expect(try output.compare(with: tuned).areSame)
        #expect(try Diffs.verify(made, against: base).checkpoint == .base)
        #expect(try Diffs.verify(made, against: output).checkpoint == .applied)
        let undo = try DiffReader(scratch("undo \(mode)"))
        _ = try Diffs.apply([undo], to: output, output: scratch("undone \(mode)"))
        #expect(try CheckpointFile.open(scratch("undone \(mode)")).compare(with: base).areSame)
      }
      let exact = try diff(base, tuned)
      _ = try Diffs.apply([exact], .revert, to: tuned, output: scratch("back"))
      #expect(try CheckpointFile.open(scratch("back")).compare(with: base).areSame)
    }
  }

  @Test("a diff that does not change them has version 1.0", arguments: types)
  func unused(type: ElementType) throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: 3)
      let packed = try tensor("packed", type, [4, 4], &random)
      let base = try make(scratch("base"), [packed, vector("w", [1, 2])])
      let tuned = try make(scratch("tuned"), [packed, vector("w", [1, 3])])
      let bytes = try diffBytes(base, tuned)
      #expect(bytes[8..<16] == [1, 0, 0, 0, 0, 0, 0, 0])
      _ = try Diffs.apply([DiffReader(bytes: bytes)], to: base, output: scratch("made"))
      #expect(try CheckpointFile.open(scratch("made")).compare(with: tuned).areSame)
    }
  }

  @Test("in place, composed, extracted; differences are counted in units", arguments: types)
  func other(type: ElementType) throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: 4)
      var steps = [try tensor("w", type, [64, 64], &random)]
      for step in 1...2 {
        steps.append(steps[step - 1])
        steps[step].bytes[step * 9] ^= 0x11
        steps[step].bytes[step * 300] ^= 0x81
      }
      let files = try steps.enumerated().map { try make(scratch("\($0)"), [$1]) }
      let diffs = try [diff(files[0], files[1]), diff(files[1], files[2])]
      #expect(try files[0].compare(with: files[1]).tensors.map(\.differing) == [2])
      let sink = MemorySink()
      _ = try Diffs.compose(diffs, into: sink)
      let extracted = MemorySink()
      _ = try Diffs.extract(
        DiffReader(bytes: sink.bytes), tensors: [NamePattern("w")], into: extracted)
      _ = try make(scratch("own"), [steps[0]])
      _ = try Diffs.applyInPlace(
        [DiffReader(bytes: extracted.bytes)], to: CheckpointFile.open(scratch("own")))
      #expect(try CheckpointFile.open(scratch("own")).compare(with: files[2]).areSame)
      let error = #expect(throws: DiffError.self) {
        try diff(files[1], files[2], .add(.all, values: .f16))
      }
      #expect(error?.code == .unsupported)
    }
  }

  @Test("HDF5 does not have them: a conversion names them")
  func converted() throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: 5)
      let source = try make(
        scratch("a"), [try tensor("packed", .f4, [2], &random), vector("w", [1])])
      let summary = try source.convert(to: scratch("a.h5"), .hdf5)
      #expect(summary.tensors == 1)
      #expect(summary.skipped.map(\.name) == ["packed"])
      #expect(summary.skipped.map(\.reason) == ["elements of type f4"])
      #expect(try CheckpointFile.open(scratch("a.h5")).tensors.map(\.name) == ["w"])
    }
  }
}
