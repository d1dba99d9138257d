import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// A recipe with its models open: the arguments of `Diffs.merge`.
public struct RecipeMerge {
  /// The diffs, with their weights and densities.
  public private(set) var inputs: [MergeInput] = []
  /// The method and its options.
  public private(set) var options: MergeOptions
  /// Notes on possible deviations from the intended merge.
  public private(set) var notes: [String] = []

  /// Opens the models of a recipe. For a checkpoint, the delta from the base is written to an
  /// unnamed file.
  ///
  /// - Parameters:
  ///   - recipe: the recipe to follow.
  ///   - path: the path of the recipe; models are looked up in the current folder, then in that of
  ///     the recipe.
  ///   - scratch: a path beside which the deltas are written.
  ///   - options: the options that a recipe does not specify: types, heads, the seed.
  ///   - handler: called repeatedly with the progress.
  /// - Throws: `notFound` for models that do not exist, `usage` for a missing or unsuitable base,
  ///   both with the line; the errors of `Diffs.create`.
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
        "\(type) is not the type of the base: applying the diff does not convert '\(other)'")
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

  /// Sets the mean of whole models, in which the base counts as an unchanged model.
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
          "line \(recipe.methodLine): without 'normalize' the weights sum to \(sum), which "
            + "multiplies the base too: that is not a sum of deltas", tensor: name)
      }
    }
  }
}

/// Opens the models of a recipe.
struct RecipeReader {
  private let recipe: MergeRecipe
  private let folder: String
  /// The base, if it is open.
  private(set) var base: (any Checkpoint)?
  /// The base, if it is one of the models and has a weight.
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
      notes.append("the recipe names no base: the diff is made on \(checkpoint)")
    }
    guard checkpoint != nil || recipe.hasLayers else { return }
    guard let basePath else {
      throw DiffError(
        .usage,
        "line \(recipe.methodLine): 'base_model' is missing, "
          + (checkpoint.map { "which the delta of '\($0)' requires" }
            ?? "whose layers the settings depend on"))
    }
    let baseModel = MergeRecipe.Model(path: basePath, line: recipe.baseLine)
    let found = try find(baseModel)
    guard try !Self.isDiff(found) else {
      throw DiffError(
        .usage, "line \(recipe.baseLine): the base is a diff, but must be a checkpoint")
    }
    base = try CheckpointFile.open(found)
    if let index = paths.firstIndex(where: { File.areSame($0, found) }) {
      listedBase = others.remove(at: index)
    } else if recipe.method == .average, recipe.base != nil {
      // The base takes part in mergekit's mean too.
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
      "line \(model.line): '\(model.path)' does not exist; models are paths of diffs and "
        + "checkpoints")
  }

  /// Opens a model as a diff.
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
      notes.append("\(name) of \(path) is not a float tensor and stays as in the base")
    }
    return try DiffReader(sink.source(named: path))
  }

  /// Returns the name of a float tensor of the base with another type; nil if there is none, or no
  /// base.
  func otherType(than type: String) -> TensorName? {
    let wanted: ElementType = type == "float16" ? .f16 : type == "bfloat16" ? .bf16 : .f32
    return base?.tensors.first { $0.type.float != nil && $0.type != wanted }?.name
  }
}

extension MergeRecipe {
  /// True if a setting depends on the number of layers.
  var hasLayers: Bool {
    let all = [settings] + slices.flatMap { [$0.settings] + $0.sources.map(\.settings) }
    return slices.count > 1 || slices[0].layers != nil
      || all.contains { $0.numbers.values.contains(where: \.hasGradient) }
  }
}

/// A sink to an unnamed file that is read afterwards.
private final class ScratchSink: ByteSink {
  private let file: File
  private var size: UInt64 = 0

  init(beside path: String) throws(DiffError) {
    // Never committed: any temporary name is removed when the file is closed.
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
