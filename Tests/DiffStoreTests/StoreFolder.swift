import Checkpoints
import DiffFormat
import DiffOperations
import DiffStore
import TensorCore
import Testing
import TestSupport

/// A scratch folder with checkpoints in safetensors files and stores of them.
struct StoreFolder {
  let scratch: Scratch
  var random: SplitMix64

  static func with(seed: UInt64 = 1, _ body: (inout StoreFolder) throws -> Void) throws {
    try Scratch.with { scratch in
      var folder = StoreFolder(scratch: scratch, random: SplitMix64(seed: seed))
      try body(&folder)
    }
  }

  func callAsFunction(_ name: String) -> String { scratch(name) }

  /// A model of several types and sizes; one tensor has more than a window of blocks.
  mutating func model(large: UInt64 = 40_000) -> [MemoryTensor] {
    [
      tensor("a.weight", .bf16, [large / 100, 100]), tensor("b.weight", .f32, [1000]),
      tensor("b.bias", .f32, [7]), tensor("c", .i64, [12]), tensor("scalar", .f16, []),
    ]
  }

  mutating func tensor(
    _ name: TensorName, _ type: ElementType, _ extents: [UInt64]
  ) -> MemoryTensor {
    let shape = shape(extents)
    let width = type.width
    var bytes = random.bytes(Int(shape.count) * width)
    // Floats are finite and small.
    if type.float != nil {
      for end in stride(from: width - 1, to: bytes.count, by: width) { bytes[end] &= 0xBF }
    }
    return MemoryTensor(name, type, shape, bytes)
  }

  func shape(_ extents: [UInt64]) -> Shape {
    guard let shape = Shape(extents) else { preconditionFailure("no shape: \(extents)") }
    return shape
  }

  /// The model with a share of its elements changed, at least one in each tensor of those named.
  mutating func step(
    _ model: [MemoryTensor], _ share: Double = 0.01, only names: Set<TensorName>? = nil
  ) -> [MemoryTensor] {
    model.map { tensor in
      guard names?.contains(tensor.name) ?? true, !tensor.bytes.isEmpty else { return tensor }
      var tensor = tensor
      let width = tensor.type.width
      let count = tensor.bytes.count / width
      for _ in 0..<max(1, Int(Double(count) * share)) {
        tensor.bytes[Int(random.next() % UInt64(count)) * width] ^= UInt8(1 + random.next() % 7)
      }
      return tensor
    }
  }

  /// Writes a safetensors file and returns its path.
  @discardableResult
  func write(_ name: String, _ model: [MemoryTensor]) throws -> String {
    let (output, stored) = try CheckpointFile.make(
      at: scratch(name), .safetensors, model.map { ($0.name, $0.type, $0.shape) },
      overwriting: true)
    for (tensor, place) in zip(model, stored) where !tensor.bytes.isEmpty {
      try output.write(tensor.bytes.span, to: place, at: 0)
    }
    try output.commit()
    return scratch(name)
  }

  /// Whether a checkpoint holds exactly a model's tensors.
  func holds(_ path: String, _ model: [MemoryTensor]) throws -> Bool {
    try Self.holds(CheckpointFile.open(path), model)
  }

  static func holds(_ checkpoint: any Checkpoint, _ model: [MemoryTensor]) throws -> Bool {
    let wanted = model.sorted { $0.name < $1.name }
    guard checkpoint.tensors.map(\.name) == wanted.map(\.name) else { return false }
    for (stored, tensor) in zip(checkpoint.tensors, wanted) {
      guard stored.shape == tensor.shape, stored.type == tensor.type,
        try checkpoint.fingerprint(of: stored) == tensor.fingerprint
      else { return false }
    }
    return true
  }

  /// A store of a model, in the folder `store`.
  func store(_ model: [MemoryTensor], share: Double = 0.5, links: UInt64 = 1000) throws -> Store {
    try Store.create(
      scratch("store"), base: CheckpointFile.open(write("base.safetensors", model)),
      anchorShare: share, anchorLinks: links)
  }
}

extension Store {
  /// Adds a model.
  @discardableResult
  func add(
    _ model: [MemoryTensor], _ name: String?, parent: String? = nil, in folder: StoreFolder
  ) throws -> StoreVersion {
    var options = AddOptions()
    options.name = name
    options.parent = parent
    let path = try folder.write("added.safetensors", model)
    return try add(CheckpointFile.open(path), options).version
  }

  /// What is wrong with it, one line each.
  func problems(rebuilding: Bool = true) throws -> [String] {
    try check(rebuilding: rebuilding).problems.map { "\($0.version): \($0.error)" }
  }
}

extension DiffReader {
  /// Returns a diff of the same changes, without extensions, whose entries may state something else.
  func rewritten(_ change: (inout DiffEntry, Int) -> Void = { _, _ in }) throws -> [UInt8] {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    for (number, entry) in enumerated() {
      var entry = entry
      change(&entry, number)
      try writer.begin(entry)
      var pages = pages(of: entry)
      while let changes = try pages.next() { try writer.append(changes) }
      try writer.end()
    }
    try writer.finish()
    return sink.bytes
  }
}
