import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// A recipe with its models open: what `Diffs.merge` takes.
public struct RecipeMerge {
  /// The diffs, with their weights and densities.
  public private(set) var inputs: [MergeInput] = []
  /// The method and what goes with it.
  public private(set) var options: MergeOptions
  /// What may not be as it was meant.
  public private(set) var notes: [String] = []

  /// Opens the models of a recipe. Of a checkpoint the delta from the base is taken, into a file without
  /// a name.
  ///
  /// - Parameters:
  ///   - path: Where the recipe is; a model is sought from the current folder, then from the recipe's.
  ///   - scratch: A path beside which there is space for the deltas.
  ///   - options: What a recipe does not say: types, heads, the seed.
  /// - Throws: `usage` with the line for models that are not there; what `Diffs.create` throws.
  public init(
    _ recipe: MergeRecipe, at path: String, scratch: String, options: MergeOptions,
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) {
    self.options = options
    var reader = try RecipeReader(recipe, at: path)
    for model in reader.others {
      inputs.append(
        MergeInput(try reader.open(model, scratch: scratch, handler), weight: 1))
    }
    notes = reader.notes
    let tensors = Set(inputs.flatMap { $0.diff.filter(\.isAddition).map(\.name) }).sorted()
    let values = try RecipeValues(recipe, base: reader.base, tensors: tensors)
    if recipe.method.isWeighted {
      for (index, model) in reader.others.enumerated() {
        inputs[index].weight = try values.setting("weight", of: model)
      }
    }
    try setMethod(recipe, values, reader)
    if let type = recipe.type, let other = reader.otherType(than: type) {
      notes.append(
        "\(type) is not the type of the base: applied, the diff leaves '\(other)' what it is")
    }
  }

  private mutating func setMethod(
    _ recipe: MergeRecipe, _ values: RecipeValues, _ reader: RecipeReader
  ) throws(DiffError) {
    let settings = recipe.settings
    let method = recipe.method
    options.method = method
    options.variant = .mergekit
    options.scale = settings.scale ?? 1
    options.metadata["diffkit.merge.recipe"] = recipe.text
    if method == .average {
      return try setLinear(recipe, values, reader)
    }
    options.normalizes = settings.normalizes
    switch method.selection {
    case .all: return
    case .variance:
      options.density = settings.topShare ?? 1
      return
    case .largest, .middle, .random, .ranked: break
    }
    options.density = 1
    options.rescale = settings.rescales ?? method.draws ? .l1 : Rescale.none
    for (index, model) in reader.others.enumerated() {
      inputs[index].density = try values.setting("density", of: model, otherwise: 1)
      if method.selection == .middle {
        inputs[index].gamma = try values.setting("gamma", of: model, otherwise: 0.01)
      }
      if method.selection == .ranked {
        inputs[index].epsilon = try values.setting("epsilon", of: model, otherwise: 0.15)
      }
    }
  }

  /// The mean of whole models, in which the base counts as one that does not change.
  private mutating func setLinear(
    _ recipe: MergeRecipe, _ values: RecipeValues, _ reader: RecipeReader
  ) throws(DiffError) {
    if let base = reader.listedBase {
      options.baseWeight = try values.setting("weight", of: base)
    }
    guard recipe.settings.normalizes == false else { return }
    options.method = .sum
    for name in values.tensors {
      let sum = inputs.reduce(options.baseWeight[name]) { $0 + $1.weight[name] }
      guard abs(sum - 1) < 1e-9 else {
        throw DiffError(
          .usage,
          "line \(recipe.methodLine): without 'normalize' the weights come to \(sum), which multiplies "
            + "the base, too: that is no sum of deltas", tensor: name)
      }
    }
  }
}

/// Opens what a recipe names.
struct RecipeReader {
  private let recipe: MergeRecipe
  private let folder: String
  /// The base, where it is open.
  private(set) var base: (any Checkpoint)?
  /// The base where it is one of the models, with a weight of its own.
  private(set) var listedBase: MergeRecipe.Model?
  /// The models that are not the base.
  private(set) var others: [MergeRecipe.Model]
  private(set) var notes: [String] = []

  init(_ recipe: MergeRecipe, at path: String) throws(DiffError) {
    self.recipe = recipe
    folder = OutputFile.split(path).folder
    others = recipe.models
    var paths: [String] = []
    for model in others { paths.append(try find(model)) }
    var checkpoint: String?
    for path in paths where checkpoint == nil {
      if try !Self.isDiff(path) { checkpoint = path }
    }
    var basePath = recipe.base
    if basePath == nil, recipe.method == .average, let checkpoint {
      basePath = others[paths.firstIndex(of: checkpoint) ?? 0].path
      notes.append("the recipe names no base: the diff is one on \(checkpoint)")
    }
    guard checkpoint != nil || recipe.hasLayers else { return }
    guard let basePath else {
      throw DiffError(
        .usage,
        "line \(recipe.methodLine): 'base_model' is missing, "
          + (checkpoint.map { "from which the delta of '\($0)' is taken" }
            ?? "whose layers the recipe goes over"))
    }
    let baseModel = MergeRecipe.Model(path: basePath, line: recipe.baseLine)
    let found = try find(baseModel)
    guard try !Self.isDiff(found) else {
      throw DiffError(
        .usage, "line \(recipe.baseLine): the base is a diff, and is to be a checkpoint")
    }
    base = try CheckpointFile.open(found)
    if let index = paths.firstIndex(where: { File.areSame($0, found) }) {
      listedBase = others.remove(at: index)
    } else if recipe.method == .average, recipe.base != nil {
      // It takes part in mergekit's mean, too.
      listedBase = baseModel
    }
  }

  private static func isDiff(_ path: String) throws(DiffError) -> Bool {
    Folder.exists(path) ? false : try DiffReader.isDiff(path)
  }

  private func find(_ model: MergeRecipe.Model) throws(DiffError) -> String {
    for path in [model.path, folder + "/" + model.path]
    where File.exists(path) || Folder.exists(path) {
      return path
    }
    throw DiffError(
      .notFound,
      "line \(model.line): '\(model.path)' is not on this machine; models are paths of diffs and "
        + "checkpoints")
  }

  /// A model as a diff.
  mutating func open(
    _ model: MergeRecipe.Model, scratch: String, _ handler: ProgressHandler?
  ) throws(DiffError) -> DiffReader {
    let path = try find(model)
    guard try !Self.isDiff(path), let base else { return try DiffReader(path) }
    var options = CreateOptions()
    options.mode = .add(.all, values: .f32)
    options.profile = .speed
    options.skipsNonfloat = true
    let sink = try ScratchSink(beside: scratch)
    let summary = try Diffs.create(
      from: base, to: CheckpointFile.open(path), into: sink, options, progress: handler)
    for name in summary.skipped {
      notes.append("\(name) of \(path) is no float, and stays as in the base")
    }
    return try DiffReader(sink.source(named: path))
  }

  /// A float tensor of the base that has another type; nil if there is none, or no base.
  func otherType(than type: String) -> TensorName? {
    let wanted: ElementType = type == "float16" ? .f16 : type == "bfloat16" ? .bf16 : .f32
    return base?.tensors.first { $0.type.float != nil && $0.type != wanted }?.name
  }
}

extension MergeRecipe {
  /// Whether something depends on how many layers there are.
  var hasLayers: Bool {
    let all = [settings] + slices.flatMap { [$0.settings] + $0.sources.map(\.settings) }
    return slices.count > 1 || slices[0].layers != nil
      || all.contains { $0.numbers.values.contains(where: \.hasGradient) }
  }
}

/// A file without a name, that is read when it is written.
private final class ScratchSink: ByteSink {
  private let file: File
  private var size: UInt64 = 0

  init(beside path: String) throws(DiffError) {
    // Never committed: when this goes away, no name is left, if there was any.
    file = try OutputFile(OutputFile.hiddenName(path), overwriting: false).file
  }

  func write(_ bytes: Span<UInt8>) throws(DiffError) {
    try file.write(bytes, at: size)
    size += UInt64(bytes.count)
  }

  func source(named name: String) -> ScratchSource { ScratchSource(name: name, file: file) }
}

private struct ScratchSource: ByteSource {
  let name: String?
  let file: File

  init(name: String, file: File) {
    self.name = name
    self.file = file
  }

  var size: UInt64 { get throws(DiffError) { try file.size } }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    try file.read(at: offset, into: &buffer)
  }
}
