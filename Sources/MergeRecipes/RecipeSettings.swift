import DiffOperations
import TensorCore

/// The settings of one `parameters` mapping of a recipe.
struct RecipeSettings: Sendable {
  /// The scope of `parameters`, which determines the allowed ones.
  enum Scope { case all, ofSlice, ofModel }

  /// The numbers of each model: `weight`, `density`, `gamma`, `epsilon`.
  private(set) var numbers: [String: RecipeSetting] = [:]
  /// The settings that apply to all tensors.
  private(set) var normalizes, rescales: Bool?
  private(set) var scale, topShare: Double?

  /// Creates empty settings.
  init() {}

  /// - Throws: `usage` with the line for a parameter that is unknown, or does not apply to the
  ///   method.
  init(_ node: RecipeNode?, of method: MergeMethod, _ scope: Scope) throws(DiffError) {
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
        throw value.refusal("'\(name)' does not apply to '\(method.rawValue)'; omit it")
      }
      if ofModels.contains(name) {
        let most = Double.greatestFiniteMagnitude
        numbers[name] = try RecipeSetting(value, in: name == "weight" ? -most...most : 0...1)
      } else if scope != .all {
        throw value.refusal(
          "'\(name)' applies to the whole merge; set it in the recipe's parameters")
      } else {
        try set(name, value)
      }
    }
  }

  private mutating func set(_ name: String, _ value: RecipeNode) throws(DiffError) {
    switch name {
    case "lambda", "select_topk":
      guard let number = value.number else {
        throw value.refusal("'\(name)' must be one number for all tensors")
      }
      guard name == "lambda" || 0...1 ~= number else {
        throw value.refusal("'\(name)' must be in 0 ... 1, not \(number)")
      }
      if name == "lambda" { scale = number } else { topShare = number }
    default:
      guard let truth = value.truth else { throw value.refusal("'\(name)' must be true or false") }
      switch name {
      case "normalize": normalizes = truth
      case "rescale": rescales = truth
      case "filter_wise" where truth:
        throw value.refusal("model stock by rows is not supported")
      // 'int8_mask' affects mergekit's memory, not its result.
      default: break
      }
    }
  }
}

extension MergeMethod {
  /// The parameters that mergekit supports for the method.
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
