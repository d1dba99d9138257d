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
  /// The path of the recipe, and the line of its first models.
  private let path: String, line: Int

  /// Opens the models of a recipe. For a checkpoint, the delta from the base is written to an
  /// unnamed file.
  ///
  /// - Parameters:
  ///   - recipe: the recipe to follow.
  ///   - path: the path of the recipe; models are looked up in the current folder, then in that of
  ///     the recipe.
  ///   - scratch: a path beside which the deltas are written.
  ///   - options: the options that a recipe does not specify: types, heads, rows, the seed.
  ///   - handler: called repeatedly with the progress.
  /// - Throws: `notFound` for models that do not exist, `usage` for a missing or unsuitable base and
  ///   for contradictory settings, `wrongBase` and `mismatch` for diffs on another base, all with
  ///   the line; the errors of `Diffs.create`.
  public init(
    _ recipe: MergeRecipe, at path: String, scratch: String, options: MergeOptions,
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) {
    self.options = options
    self.path = path
    line = recipe.modelsLine
    var reader = try RecipeReader(recipe, at: path)
    for model in reader.others {
      inputs.append(try reader.open(model, scratch: scratch, handler))
    }
    let base = try reader.check(inputs, allowsOtherBase: options.allowsOtherBase, handler)
    self.options.metadata["diffkit.merge.base"] = base
    notes = reader.notes
    let values = try RecipeValues(recipe, base: reader.base, tensors: inputs.changedTensors)
    for (index, model) in reader.others.enumerated() {
      inputs[index].weight =
        try recipe.method.isWeighted
        ? values.setting("weight", of: model) : values.participation(of: model)
    }
    try setMethod(recipe, values, reader)
    try setRows(recipe, reader)
    try check(reader.others)
    if let type = recipe.type, let other = reader.otherType(than: type) {
      notes.append(
        "\(type) is not the type of the base: applying the diff does not convert '\(other)'")
    }
  }

  /// Returns a refusal of the settings during the merge with the path and the line.
  public func locating(_ error: DiffError) -> DiffError {
    guard error.code == .usage, error.path == nil, error.tensor != nil else { return error }
    return error.on(line).at(path: path)
  }

  /// Refuses settings that the merge would refuse.
  private func check(_ models: [MergeRecipe.Model]) throws(DiffError) {
    var options = options
    // The recipe does not specify it.
    options.pruneTo = nil
    for (input, model) in zip(inputs, models) {
      do throws(DiffError) { try options.checkDensities([input]) } catch {
        throw error.on(model.line)
      }
    }
    do throws(DiffError) { try options.check(inputs) } catch { throw error.on(line) }
  }

  /// Sets the base of diffs that change numbers of rows.
  private mutating func setRows(
    _ recipe: MergeRecipe, _ reader: RecipeReader
  ) throws(DiffError) {
    guard inputs.contains(where: { $0.diff.contains(where: \.isReshape) }) else { return }
    guard let base = reader.base else {
      throw DiffError(
        .usage,
        "line \(recipe.baseLine): a model changes its number of rows, which requires a 'base_model' "
          + "that is a checkpoint here")
    }
    options.base = base
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
    guard let basePath else {
      guard checkpoint != nil || recipe.hasLayers else { return }
      throw DiffError(
        .usage,
        "line \(recipe.methodLine): 'base_model' is missing, "
          + (checkpoint.map { "which the delta of '\($0)' requires" }
            ?? "whose layers the settings depend on"))
    }
    let baseModel = MergeRecipe.Model(path: basePath, line: recipe.baseLine)
    if recipe.method == .average, recipe.base != nil {
      // The base takes part in mergekit's mean too.
      listedBase = baseModel
    }
    guard checkpoint != nil || recipe.hasLayers || exists(basePath) else {
      notes.append(
        "line \(recipe.baseLine): '\(basePath)' does not exist here, so that no diff was compared with "
          + "it")
      return
    }
    let found = try find(baseModel)
    guard try !Self.isDiff(found) else {
      throw DiffError(
        .usage, "line \(recipe.baseLine): the base is a diff, but must be a checkpoint")
    }
    base = try CheckpointFile.open(found)
    if let index = paths.firstIndex(where: { File.areSame($0, found) }) {
      listedBase = others.remove(at: index)
    }
  }

  private static func isDiff(_ path: String) throws(DiffError) -> Bool {
    Folder.exists(path) ? false : try DiffReader.isDiff(path)
  }

  /// Returns the paths at which a model is looked up.
  private func candidates(_ path: String) -> [String] { [path, folder + "/" + path] }

  private func exists(_ path: String) -> Bool {
    candidates(path).contains { File.exists($0) || Folder.exists($0) }
  }

  private func find(_ model: MergeRecipe.Model) throws(DiffError) -> String {
    for path in candidates(model.path) where File.exists(path) || Folder.exists(path) {
      return path
    }
    throw DiffError(
      .notFound,
      "line \(model.line): '\(model.path)' does not exist; models are paths of diffs and "
        + "checkpoints")
  }

  /// Compares the diffs with the base, if it is open; returns its fingerprint and its name.
  ///
  /// - Throws: `wrongBase` and `mismatch` with the line of the base, unless other bases are allowed.
  mutating func check(
    _ inputs: [MergeInput], allowsOtherBase: Bool, _ handler: ProgressHandler?
  ) throws(DiffError) -> String? {
    guard let base else { return nil }
    let diffs = inputs.filter { $0.original == nil }.map(\.diff)
    // The deltas of checkpoints have the fingerprint.
    var fingerprint = inputs.filter { $0.original != nil }
      .compactMap { $0.diff.checkpoints?.base }.first
    if !diffs.isEmpty || fingerprint == nil {
      let hashed = try MergeBase(base, progress: handler)
      fingerprint = hashed.fingerprint
      for diff in diffs {
        do throws(DiffError) { try hashed.check(diff) } catch {
          var located = error.on(recipe.baseLine, of: error.path)
          guard allowsOtherBase else { throw located }
          located.remedy = nil
          notes.append("\(located)")
        }
      }
    }
    return fingerprint.map { "\($0) \(OutputFile.split(base.path).name)" }
  }

  /// Opens a model as a diff.
  mutating func open(
    _ model: MergeRecipe.Model, scratch: String, _ handler: ProgressHandler?
  ) throws(DiffError) -> MergeInput {
    let path = try find(model)
    guard try !Self.isDiff(path), let base else { return MergeInput(try DiffReader(path)) }
    var options = CreateOptions()
    options.mode = .add(.all, values: .f32)
    options.profile = .speed
    options.skipsNonfloat = true
    let sink = try ScratchSink(beside: scratch)
    let tuned = try CheckpointFile.open(path)
    let summary = try Diffs.create(
      from: base, to: tuned, into: sink, options, progress: handler)
    for name in summary.skipped {
      notes.append("\(name) of \(path) is not a float tensor and stays as in the base")
    }
    var input = MergeInput(try DiffReader(sink.source(named: path)))
    input.original = try tuned.fingerprintIfReadable(progress: handler)
    return input
  }

  /// Returns the name of a float tensor of the base with another type; nil if there is none, or no
  /// base.
  func otherType(than type: String) -> TensorName? {
    let wanted: ElementType = type == "float16" ? .f16 : type == "bfloat16" ? .bf16 : .f32
    return base?.tensors.first { $0.type.float != nil && $0.type != wanted }?.name
  }
}

extension DiffError {
  /// Returns the error with a line of the recipe, and a path that is not the recipe's.
  fileprivate func on(_ line: Int, of other: String? = nil) -> DiffError {
    var error = self
    error.message = "line \(line): " + (other.map { "in '\($0)' it " } ?? "") + message
    error.path = nil
    return error
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
