import Checkpoints
import DiffOperations
import TensorCore

/// The numbers of a recipe for each tensor.
struct RecipeValues {
  private let recipe: MergeRecipe
  private let layers: RecipeLayers
  /// The tensors that the models change.
  let tensors: [TensorName]

  /// - Throws: `usage` if the slices do not cover all layers of the base.
  init(
    _ recipe: MergeRecipe, base: (any Checkpoint)?, tensors: [TensorName]
  ) throws(DiffError) {
    self.recipe = recipe
    self.tensors = tensors
    layers = RecipeLayers(base?.tensors.map(\.name) ?? tensors)
    if let end = recipe.slices.last?.layers?.upperBound, end != layers.count {
      throw DiffError(
        .usage,
        "line \(recipe.methodLine): the slices end at layer \(end), the base has \(layers.count) "
          + "layers")
    }
  }

  /// Returns a parameter of a model.
  ///
  /// - Parameter otherwise: the default number; nil if the parameter is required.
  /// - Throws: `usage` with the line of the model.
  func setting(
    _ parameter: String, of model: MergeRecipe.Model, otherwise: Double? = nil
  ) throws(DiffError) -> MergeSetting {
    if recipe.slices.count == 1, takesPart(model, in: recipe.slices[0]) {
      let first = settings(parameter, of: model, in: recipe.slices[0]).first
      if let constant = first == nil ? otherwise : first?.constant { return MergeSetting(constant) }
    }
    var setting: MergeSetting?
    for tensor in tensors {
      let number = try number(parameter, of: model, in: tensor, otherwise)
      if setting == nil { setting = MergeSetting(number) }
      setting?[tensor] = number
    }
    return setting ?? MergeSetting(otherwise ?? 1)
  }

  /// Returns the weight of a model for a method without weights: 1, or 0 for the tensors of slices
  /// that do not name it.
  func participation(of model: MergeRecipe.Model) throws(DiffError) -> MergeSetting {
    var setting = MergeSetting(1)
    for tensor in tensors where try !takesPart(model, in: slice(of: tensor, for: model)) {
      setting[tensor] = 0
    }
    return setting
  }

  /// Returns whether a model has a part in a slice. A recipe without slices need not name the base.
  private func takesPart(_ model: MergeRecipe.Model, in slice: MergeRecipe.Slice) -> Bool {
    slice.sources.contains { $0.model.path == model.path }
      || slice.layers == nil && recipe.base == model.path
  }

  private func number(
    _ parameter: String, of model: MergeRecipe.Model, in tensor: TensorName, _ otherwise: Double?
  ) throws(DiffError) -> Double {
    let layer = RecipeLayers.layer(of: tensor)
    let slice = try slice(of: tensor, for: model)
    guard takesPart(model, in: slice) else { return parameter == "weight" ? 0 : otherwise ?? 0 }
    let name = tensor.description.replacing("/", with: ".")
    let share = layer.map { RecipeLayers.share(of: $0, in: slice.layers ?? 0..<layers.count) } ?? 0
    for setting in settings(parameter, of: model, in: slice) {
      if let number = setting.number(of: name, at: share) { return number }
    }
    guard let otherwise else {
      throw DiffError(
        .usage, "line \(model.line): '\(model.path)' has no '\(parameter)'", tensor: tensor)
    }
    return otherwise
  }

  /// Returns the settings of a parameter, the most specific first.
  private func settings(
    _ parameter: String, of model: MergeRecipe.Model, in slice: MergeRecipe.Slice
  ) -> [RecipeSetting] {
    let own = slice.sources.first { $0.model.path == model.path }?.settings
    return [own, slice.settings, recipe.settings].compactMap { $0?.numbers[parameter] }
  }

  /// Returns the slice that a tensor belongs to: a tensor without a layer belongs to the first
  /// slice if it is an embedding, otherwise to the last.
  ///
  /// - Throws: `usage` with the line of the model if there is none.
  private func slice(
    of tensor: TensorName, for model: MergeRecipe.Model
  ) throws(DiffError) -> MergeRecipe.Slice {
    let slices = recipe.slices
    guard let layer = RecipeLayers.layer(of: tensor) else {
      let embeds = ["embed", "wte", "wpe"].contains { tensor.description.contains($0) }
      return embeds ? slices[0] : slices[slices.count - 1]
    }
    guard let slice = slices.first(where: { $0.layers?.contains(layer) ?? true }) else {
      throw DiffError(
        .usage, "line \(model.line): no slice holds layer \(layer)", tensor: tensor)
    }
    return slice
  }
}
