import DiffOperations
import TensorCore

/// What `parameters` of a recipe set, at one of its places.
struct RecipeSettings: Sendable {
  /// Where `parameters` stand, which says which there may be.
  enum Place { case all, ofSlice, ofModel }

  /// Numbers of each model: `weight`, `density`, `gamma`, `epsilon`.
  private(set) var numbers: [String: RecipeSetting] = [:]
  /// What holds for all tensors alike.
  private(set) var normalizes, rescales: Bool?
  private(set) var scale, topShare: Double?

  /// Nothing.
  init() {}

  /// - Throws: `usage` with the line for what is unknown, or means nothing to the method.
  init(_ node: RecipeNode?, of method: MergeMethod, _ place: Place) throws(DiffError) {
    guard let node else { return }
    let ofModels = ["weight", "density", "gamma", "epsilon"]
    let shared = [
      "normalize", "rescale", "lambda", "select_topk", "int8_mask", "filter_wise",
    ]
    let members = try node.members(
      "parameters", ofModels + shared, refusing: ["t": "belongs to methods that interpolate models"]
    )
    for (name, value) in members.sorted(by: { $0.value.line < $1.value.line }) where !value.isNull {
      guard method.recipeParameters.contains(name) else {
        throw value.refusal("'\(name)' means nothing to '\(method.rawValue)'; leave it out")
      }
      if ofModels.contains(name) {
        numbers[name] = try RecipeSetting(value)
      } else if place != .all {
        throw value.refusal(
          "'\(name)' holds for the whole merge; give it in the recipe's parameters")
      } else {
        try set(name, value)
      }
    }
  }

  private mutating func set(_ name: String, _ value: RecipeNode) throws(DiffError) {
    switch name {
    case "lambda", "select_topk":
      guard let number = value.number else {
        throw value.refusal("'\(name)' is to be one number for all tensors")
      }
      if name == "lambda" { scale = number } else { topShare = min(1, abs(number)) }
    default:
      guard let truth = value.truth else { throw value.refusal("'\(name)' is to be true or false") }
      switch name {
      case "normalize": normalizes = truth
      case "rescale": rescales = truth
      case "filter_wise" where truth:
        throw value.refusal("model stock by rows has no counterpart here")
      // Of mergekit's memory, not of its numbers.
      default: break
      }
    }
  }
}

extension MergeMethod {
  /// The parameters that mergekit knows of the method.
  fileprivate var recipeParameters: Set<String> {
    switch self {
    case .average: return ["weight", "normalize"]
    case .sce: return ["select_topk", "int8_mask"]
    case .modelStock: return ["filter_wise"]
    case .ram, .ramPlus: return []
    default: break
    }
    let common: Set = ["weight", "normalize", "lambda", "int8_mask"]
    return switch self {
    case .sum: common
    case .breadcrumbs, .breadcrumbsTies: common.union(["density", "rescale", "gamma"])
    case .della, .dellaLinear: common.union(["density", "rescale", "epsilon"])
    default: common.union(["density", "rescale"])
    }
  }
}
