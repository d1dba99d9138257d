import DiffFormat
import DiffOperations
import DiffTraining
import TensorCore
import Testing
import TestSupport

@Suite struct FinetuneTests {
  private static let base = MemoryCheckpoint([
    MemoryTensor("a/weight", .f32, floats([1, 2, 3, 4])),
    MemoryTensor("b/weight", .f16, [0x00, 0x3C, 0x00, 0x40]),  // 1 and 2
    MemoryTensor("ids", .i64, [UInt8](repeating: 0, count: 8)),
  ])

  private static func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { $0.bitPattern.littleEndianBytes }
  }

  private static func write(
    _ additions: [TensorName: ChangeRun<Float>], head: [HeadTensor] = []
  ) throws -> DiffReader {
    let sink = MemorySink()
    _ = try writeFinetune(
      of: base, additions.keys.sorted(), head: head, into: sink, metadata: ["task": "t"]
    ) { additions[$0] ?? ChangeRun() }
    return try DiffReader(bytes: sink.bytes)
  }

  private static func bytes(_ checkpoint: TunedCheckpoint, _ name: TensorName) throws -> [UInt8] {
    let tensor = try #require(checkpoint.tensors.first { $0.name == name })
    return try checkpoint.bytes(of: tensor)
  }

  @Test("every position counts, also one whose value is or becomes zero")
  func zerosCount() throws {
    let diff = try Self.write([
      "a/weight": ChangeRun(at: 0, [0, 2, 3], [0, 1, 1e-30])
    ])
    #expect(diff.map(\.count) == [3])
    let tuned = try TunedCheckpoint(Self.base, [diff])
    #expect(try Self.bytes(tuned, "a/weight") == Self.floats([1, 2, 4, 4]))
  }

  @Test("additions apply to each type, the head is inserted, base and result have fingerprints")
  func finetunesAreReadBack() throws {
    let head = HeadTensor(
      name: "classifier/weight", shape: try #require(Shape([1, 2])), values: [0.25, -3])
    let diff = try Self.write(
      [
        "a/weight": ChangeRun(at: 0, [1], [-0.5]),
        "b/weight": ChangeRun(at: 0, [0], [0.5]),
      ], head: [head])
    #expect(diff.map(\.name) == ["a/weight", "b/weight", "classifier/weight"])
    #expect(diff.allSatisfy { $0.result != nil })
    let tuned = try TunedCheckpoint(Self.base, [diff])
    #expect(try Self.bytes(tuned, "a/weight") == Self.floats([1, 1.5, 3, 4]))
    #expect(try Self.bytes(tuned, "b/weight") == [0x00, 0x3E, 0x00, 0x40])
    #expect(try Self.bytes(tuned, "classifier/weight") == Self.floats([0.25, -3]))
    #expect(tuned.tensors.map(\.name) == ["a/weight", "b/weight", "classifier/weight", "ids"])
  }

  @Test("values that cannot be stored are refused")
  func nonsenseIsRefused() throws {
    #expect(throws: DiffError.self) {
      try Self.write(["a/weight": ChangeRun(at: 0, [0], [.nan])])
    }
    #expect(throws: DiffError.self) {
      try Self.write(["none": ChangeRun(at: 0, [0], [1])])
    }
    #expect(throws: DiffError.self) {
      try Self.write(["ids": ChangeRun(at: 0, [0], [1])])
    }
    #expect(throws: DiffError.self) {
      try Self.write(
        [:], head: [HeadTensor(name: "ids", shape: Shape(vector: 1), values: [1])])
    }
  }
}
