import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// A folder with `base.h5`, its finetune `tuned.h5`, and the diffs between them: `exact.diff` and
/// `add.diff`.
struct Fixture {
  let folder: Scratch

  static func with(_ body: (Fixture) throws -> Void) throws {
    try Scratch.with { scratch in
      let fixture = Fixture(folder: scratch)
      try write(contents(ofFile: Repository.base), toFile: scratch("base.h5"))
      try fixture.change("base.h5", "tuned.h5", ["model/kernel:0": 1.25, "model/big": 2])
      try fixture.diff("exact.diff", .xor)
      try fixture.diff("add.diff", .add(.all, values: .f16))
      try body(fixture)
    }
  }

  func callAsFunction(_ name: String) -> String { folder(name) }

  /// Copies a checkpoint, with the first elements of some float32 tensors set.
  func change(_ source: String, _ copy: String, _ changes: [TensorName: Float]) throws {
    let checkpoint = try CheckpointFile.open(folder(source))
    let output = try checkpoint.makeOutput(at: folder(copy), rewriting: [], overwriting: false)
    for tensor in checkpoint.tensors {
      guard let value = changes[tensor.name] else { continue }
      try output.write(littleEndian([value]).span, to: tensor, at: 0)
    }
    try output.commit()
  }

  /// Writes a safetensors file.
  func make(_ name: String, _ tensors: [MemoryTensor]) throws {
    let (output, stored) = try CheckpointFile.make(
      at: folder(name), .safetensors, tensors.map { ($0.name, $0.type, $0.shape) }, metadata: [:],
      overwriting: false)
    for (tensor, target) in zip(tensors, stored) {
      try output.write(tensor.bytes.span, to: target, at: 0)
    }
    try output.commit()
  }

  /// Makes a diff from the base to its finetune.
  func diff(_ name: String, _ mode: CreateMode) throws {
    var options = CreateOptions()
    options.mode = mode
    options.metadata = ["task": "example"]
    let sink = try FileSink(folder(name))
    _ = try Diffs.create(
      from: CheckpointFile.open(folder("base.h5")), to: CheckpointFile.open(folder("tuned.h5")),
      into: sink,
      options)
    try sink.commit()
  }

  /// The files that every fixture has.
  static let names = ["add.diff", "base.h5", "exact.diff", "tuned.h5"]

  /// Returns the bytes of a file.
  func bytes(_ name: String) throws -> [UInt8] { try contents(ofFile: folder(name)) }

  /// Returns the bytes of a tensor of a checkpoint.
  func bytes(of tensor: TensorName, _ name: String) throws -> [UInt8] {
    let checkpoint = try CheckpointFile.open(folder(name))
    let stored = try #require(checkpoint.tensors.first { $0.name == tensor })
    return try checkpoint.bytes(of: stored)
  }

  /// Returns whether two checkpoints have the same tensors.
  func sameTensors(_ one: String, _ other: String) throws -> Bool {
    let (a, b) = (try CheckpointFile.open(folder(one)), try CheckpointFile.open(folder(other)))
    let x = try a.tensors.map { try a.fingerprint(of: $0) }
    let y = try b.tensors.map { try b.fingerprint(of: $0) }
    return x == y && a.tensors.map(\.name) == b.tensors.map(\.name)
  }

  /// Makes a diff of one entry, of any name, that changes the first element of a tensor.
  func makeDiff(_ path: String, named name: TensorName, metadata: [String: String]) throws {
    let sink = try FileSink(folder(path))
    let writer = try DiffWriter(sink, metadata: metadata)
    let shape = Shape(vector: 1)
    try writer.begin(
      DiffEntry(name, .xor, .f32, shape, base: .of(.f32, shape, [0, 0, 0, 0].span)))
    try writer.append(ChangeRun(at: 0, [0], [1, 2, 3, 4]))
    try writer.end()
    try writer.finish()
    try sink.commit()
  }
}
