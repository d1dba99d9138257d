import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Merging diffs of models whose vocabularies or heads have grown differently.
@Suite struct MergeGrownTests {
  /// Two columns.
  private func checkpoint(_ rows: [Float], _ head: [Float] = [1, 1]) -> MemoryCheckpoint {
    func tensor(_ name: TensorName, _ values: [Float]) -> MemoryTensor? {
      Shape([UInt64(values.count / 2), 2]).map {
        MemoryTensor(name, .f32, $0, littleEndian(values))
      }
    }
    return MemoryCheckpoint([tensor("words", rows), tensor("head", head)].compactMap { $0 })
  }

  private func diff(_ base: MemoryCheckpoint, _ tuned: MemoryCheckpoint) throws -> DiffReader {
    var options = CreateOptions()
    options.mode = .add(.all, values: .f32)
    let sink = MemorySink()
    _ = try Diffs.create(from: base, to: tuned, into: sink, options)
    return try DiffReader(bytes: sink.bytes)
  }

  /// The numbers of a tensor when a merge of diffs is applied.
  private func merged(
    _ base: MemoryCheckpoint, _ diffs: [DiffReader], _ rows: RowChoice?,
    weights: [Double] = [1, 1], tensor: TensorName = "words"
  ) throws -> [Float] {
    var options = MergeOptions()
    (options.base, options.rows, options.values) = (base, rows, .f32)
    let sink = MemorySink()
    _ = try Diffs.merge(
      zip(diffs, weights).map { MergeInput($0, weight: $1) }, into: sink, options)
    let diff = try DiffReader(bytes: sink.bytes)
    return try Scratch.with { scratch in
      let (output, rows) = try CheckpointFile.make(
        at: scratch("base"), .safetensors, base.all.map { ($0.name, $0.type, $0.shape) },
        metadata: [:], overwriting: false)
      for (one, row) in zip(base.all, rows) {
        try output.write(one.bytes.span, to: row, at: 0)
      }
      try output.commit()
      _ = try Diffs.apply([diff], to: CheckpointFile.open(scratch("base")), output: scratch("made"))
      let made = try CheckpointFile.open(scratch("made"))
      let stored = try #require(made.tensors.first { $0.name == tensor })
      let bytes = try made.bytes(of: stored)
      return stride(from: 0, to: bytes.count, by: 4).map {
        Float(bitPattern: bytes.span.littleEndian(at: $0))
      }
    }
  }

  private var base: MemoryCheckpoint { checkpoint([1, 2, 3, 4]) }

  @Test("shared rows are merged as deltas, new ones as chosen")
  func rows() throws {
    let a = try diff(base, checkpoint([2, 2, 3, 4, 10, 11]))
    let b = try diff(base, checkpoint([1, 2, 3, 8, 20, 21, 30, 31]))
    let shared: [Float] = [2, 2, 3, 8]
    #expect(try merged(base, [a, b], .first) == shared + [10, 11])
    #expect(try merged(base, [b, a], .first) == shared + [20, 21, 30, 31])
    #expect(try merged(base, [a, b], .average) == shared + [15, 16, 30, 31])
    #expect(try merged(base, [a, b], .drop) == shared)
    #expect(try merged(base, [a, b], .drop, weights: [2, -0.5]) == [3, 2, 3, 2])
    // A diff with the number of rows of the base adds to them.
    let c = try diff(base, checkpoint([1, 5, 3, 4]))
    #expect(try merged(base, [a, c], .first) == [2, 5, 3, 4, 10, 11])
  }

  @Test("heads of fewer outputs are merged where there are rows")
  func fewer() throws {
    let wide = checkpoint([1, 2, 3, 4], [1, 1, 2, 2, 3, 3])
    let a = try diff(wide, checkpoint([1, 2, 3, 4], [5, 1]))
    let b = try diff(wide, checkpoint([1, 2, 3, 4], [1, 1, 2, 7]))
    #expect(try merged(wide, [a, b], .first, tensor: "head") == [5, 1])
    #expect(try merged(wide, [a, b], .average, tensor: "head") == [5, 1, 2, 7])
    #expect(try merged(wide, [a, b], .drop, tensor: "head") == [5, 1, 2, 7, 3, 3])
  }

  @Test("missing choices and other bases are refused")
  func refused() throws {
    let a = try diff(base, checkpoint([2, 2, 3, 4, 10, 11]))
    let error = #expect(throws: DiffError.self) { try merged(base, [a, a], nil) }
    #expect(error?.remedy == .chooseRows)
    #expect(error?.tensor == "words")
    let other = checkpoint([1, 2, 3, 5])
    #expect(throws: DiffError.self) { try merged(other, [a, a], .first) }
    #expect(throws: DiffError.self) { try merged(base, [a, a], .named("none")) }
    var options = MergeOptions()
    options.values = .f32
    let plain = #expect(throws: DiffError.self) {
      try Diffs.merge([MergeInput(a), MergeInput(a)], into: MemorySink(), options)
    }
    #expect(plain?.remedy == .mergeOnBase)
  }
}
