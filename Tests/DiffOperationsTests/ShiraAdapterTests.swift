import Checkpoints
import DiffFormat
import DiffOperations
import StrictJSON
import TensorCore
import Testing
import TestSupport

/// Folders that PEFT loads: one r for all matrices, zeros where a matrix has fewer changes, and the
/// configuration. That PEFT does load them is tested in Python (test_peft.py).
@Suite struct ShiraAdapterTests {
  /// A matrix of 4 × 6 whose first `changed` odd elements change, last element included.
  private static func deltas(_ changed: Int) -> [Double] {
    var deltas = [Double](repeating: 0, count: 24)
    for index in 0..<changed { deltas[23 - 2 * index] = Double(index + 1) / 4 }
    return deltas
  }

  private static func diff(_ counts: [Int], heads: [DiffFormatHead] = []) throws -> DiffReader {
    try additiveDiff(
      counts.enumerated().map { index, count in
        ("layer/\(index)/\"q\"/weight", [4, 6], deltas(count))
      }, heads: heads)
  }

  /// An array of int32 or float32 of a file.
  private static func bytes(_ name: TensorName, of file: any Checkpoint) throws -> [UInt8] {
    let stored = try #require(file.tensors.first { $0.name == name })
    return try file.bytes(of: stored)
  }

  @Test("the matrix with most changes gives r, the others are filled with zeros")
  func filled() throws {
    try Scratch.with { scratch in
      // Of 4 + 6 lines: 11 changes take r = 2, so 20 values each; a slash is PyTorch's dot.
      let counts = [11, 1, 3]
      let summary = try Diffs.export(Self.diff(counts), to: scratch("adapter"), .shira)
      #expect((summary.tensors, summary.heads, summary.changes) == (3, 0, 15))
      #expect(
        try Scratch(path: scratch("adapter")).names == [
          "adapter_config.json", "adapter_model.safetensors",
        ])
      let file = try CheckpointFile.open(scratch("adapter/adapter_model.safetensors"))
      #expect(file.tensors.count == 6)
      for (index, count) in counts.enumerated() {
        let module = "base_model.model.layer.\(index).\"q\""
        let values = floats(try Self.bytes("\(module).shira_weight", of: file))
        let places = integers(
          Int32.self, try Self.bytes("\(module).shira_indices", of: file))
        #expect(values.count == 20 && places.count == 40)
        let positions = (0..<20).map { Int(places[$0]) * 6 + Int(places[20 + $0]) }
        #expect(zip(positions, positions.dropFirst()).allSatisfy { $0 < $1 })
        var dense = [Double](repeating: 0, count: 24)
        for (position, value) in zip(positions, values) { dense[position] = Double(value) }
        #expect(dense == Self.deltas(count))
      }
    }
  }

  @Test("the configuration names r, modules and heads, in JSON whatever their names are")
  func configuration() throws {
    try Scratch.with { scratch in
      let heads = [
        DiffFormatHead(name: "classifier.bias", bytes: [1]),
        DiffFormatHead(name: "classifier.weight", bytes: [2, 3]),
      ]
      let summary = try Diffs.export(Self.diff([2], heads: heads), to: scratch("a"), .shira)
      #expect(summary.heads == 2)
      let json = try JSONValue(parsing: contents(ofFile: scratch("a/adapter_config.json")))
      #expect(json["peft_type"]?.text == "SHIRA" && json["r"]?.unsigned == 1)
      #expect(json["target_modules"]?.elements == [.string("layer.0.\"q\"")])
      #expect(json["modules_to_save"]?.elements == [.string("classifier")])
      let file = try CheckpointFile.open(scratch("a/adapter_model.safetensors"))
      #expect(try Self.bytes("base_model.model.classifier.weight", of: file) == [2, 3])
      _ = try Diffs.export(Self.diff([2]), to: scratch("b"), .shira)
      let bare = try JSONValue(parsing: contents(ofFile: scratch("b/adapter_config.json")))
      #expect(bare["modules_to_save"] == .null)
    }
  }

  @Test("what it does not hold is refused by name, and nothing is written")
  func refusals() throws {
    try Scratch.with { scratch in
      func refused(_ diff: DiffReader) throws -> DiffError {
        let error = try #require(
          #expect(throws: DiffError.self) {
            try Diffs.export(diff, to: scratch("adapter"), .shira)
          })
        #expect(try scratch.names.isEmpty)
        return error
      }
      let vector = try refused(additiveDiff([("norm.weight", [3], [1, 0, 0])]))
      #expect((vector.code, vector.remedy) == (.unsupported, .leaveOut))
      #expect(vector.tensor == "norm.weight")
      let unnamed = try refused(additiveDiff([("table", [2, 2], [1, 0, 0, 0])]))
      #expect(unnamed.tensor == "table")
      // 24 changes of 10 lines make r 3, which would be 30 of 24 elements.
      let small = try refused(
        additiveDiff([
          ("a.weight", [4, 6], [Double](repeating: 1, count: 24)),
          ("b.weight", [2, 2], [1, 0, 0, 0]),
        ]))
      #expect(small.code == .unsupported && small.tensor == "a.weight")
    }
  }

  @Test("a folder that is there is left alone")
  func exists() throws {
    try Scratch.with { scratch in
      _ = try Diffs.export(Self.diff([1]), to: scratch("a"), .shira)
      let before = try contents(ofFile: scratch("a/adapter_config.json"))
      let error = #expect(throws: DiffError.self) {
        try Diffs.export(Self.diff([11]), to: scratch("a"), .shira)
      }
      #expect(error?.code == .exists)
      #expect(try contents(ofFile: scratch("a/adapter_config.json")) == before)
    }
  }

  @Test("a head that the base has, too, is written whole if the base is given")
  func changedHead() throws {
    let head: [UInt8] = [2, 3]
    let shape = Shape(vector: 2)
    let result: [UInt8] = [2, 7]
    let matrix = try #require(Shape([4, 6]))
    let zeros = [UInt8](repeating: 0, count: 96)
    let diff = try DiffReader(
      bytes: Contents([
        Contents.Tensor(
          DiffEntry(
            "classifier.weight", .xor, .u8, shape, base: .of(.u8, shape, head.span),
            result: .of(.u8, shape, result.span)), Changes([1], [4])),
        Contents.Tensor(
          DiffEntry(
            "layer.weight", .add(values: .f16, scale: 0), .f32, matrix,
            base: .of(.f32, matrix, zeros.span)), Changes([23], [0x00, 0x34])),
      ]).encoded())
    try Scratch.with { scratch in
      let error = #expect(throws: DiffError.self) {
        try Diffs.export(diff, to: scratch("a"), .shira)
      }
      #expect(error?.code == .unsupported && error?.remedy == .base)
      #expect(error?.tensor == "classifier.weight")
      func base(_ head: [UInt8]) -> MemoryCheckpoint {
        MemoryCheckpoint([
          MemoryTensor("classifier.weight", .u8, shape, head),
          MemoryTensor("layer.weight", .f32, matrix, zeros),
        ])
      }
      let wrong = #expect(throws: DiffError.self) {
        try Diffs.export(diff, to: scratch("a"), .shira, base: base([2, 4]))
      }
      #expect(wrong?.code == .wrongBase && !scratch.exists("a"))
      let summary = try Diffs.export(diff, to: scratch("a"), .shira, base: base(head))
      #expect((summary.tensors, summary.heads) == (1, 1))
      let file = try CheckpointFile.open(scratch("a/adapter_model.safetensors"))
      #expect(try Self.bytes("base_model.model.classifier.weight", of: file) == result)
    }
  }
}
