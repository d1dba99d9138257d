import Checkpoints
import DiffFormat
import DiffOperations
import Kernels
import MergeRecipes
import TensorCore
import TestSupport

/// A folder of small models with tensors of four elements, and of diffs between them.
struct RecipeModels {
  let folder: Scratch

  static func with(_ body: (RecipeModels) throws -> Void) throws {
    try Scratch.with { try body(RecipeModels(folder: $0)) }
  }

  /// Writes a checkpoint.
  func make(_ name: String, _ tensors: [(name: String, values: [Float])]) throws {
    let (output, stored) = try CheckpointFile.make(
      at: folder(name), .safetensors,
      tensors.map { (TensorName($0.name), .f32, Shape(vector: UInt64($0.values.count))) },
      metadata: [:], overwriting: false)
    for (tensor, target) in zip(tensors, stored) {
      try output.write(littleEndian(tensor.values).span, to: target, at: 0)
    }
    try output.commit()
  }

  /// Writes the additive diff between two of the checkpoints.
  func diff(_ name: String, from base: String, to tuned: String) throws {
    var options = CreateOptions()
    options.mode = .add(.all, values: .f32)
    let sink = MemorySink()
    _ = try Diffs.create(
      from: CheckpointFile.open(folder(base)), to: CheckpointFile.open(folder(tuned)), into: sink,
      options)
    try write(sink.bytes, toFile: folder(name))
  }

  /// Opens a recipe in the folder.
  func open(_ text: String, _ options: MergeOptions = MergeOptions()) throws -> RecipeMerge {
    var options = options
    options.values = .f32
    return try RecipeMerge(
      MergeRecipe(text), at: folder("recipe.yml"), scratch: folder("m.diff"), options: options)
  }

  /// Merges by a recipe.
  func merge(_ text: String, _ options: MergeOptions = MergeOptions()) throws -> DiffReader {
    let recipe = try open(text, options)
    let sink = MemorySink()
    _ = try Diffs.merge(recipe.inputs, into: sink, recipe.options)
    return try DiffReader(bytes: sink.bytes)
  }
}

extension DiffReader {
  /// The changes to a tensor of four elements, zeros included.
  func changes(of name: TensorName) throws -> [Double] {
    var dense = [Double](repeating: 0, count: 4)
    guard let entry = entry(named: name), case .add(let type, let scale) = entry.operation else {
      return dense
    }
    var pages = pages(of: entry)
    while let page = try pages.next() {
      let numbers = page.numbers(type, scale: scale)
      for i in numbers.indices { dense[Int(page.position(i))] = numbers[i] }
    }
    return dense
  }
}
