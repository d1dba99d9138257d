import DiffOperations
import SystemSupport
import TensorCore

/// A merge in mergekit's vocabulary (github.com/arcee-ai/mergekit, version 0.1.5), written in YAML
/// or JSON: the models, the method and the weights.
public struct MergeRecipe: Sendable {
  /// A model of the recipe.
  struct Model: Sendable {
    /// The path of a diff or a checkpoint.
    let path: String
    let line: Int
  }

  /// A range of layers with its settings; a recipe without slices is one slice of all layers.
  struct Slice: Sendable {
    /// The layers; nil for all layers.
    let layers: Range<Int>?
    /// The line of the models.
    let line: Int
    /// The models of the slice, with their settings.
    var sources: [(model: Model, settings: RecipeSettings)]
    /// The settings for all models of the slice.
    let settings: RecipeSettings
  }

  /// The text of the recipe.
  public let text: String
  /// The method of merging.
  public let method: MergeMethod
  /// The path of the base, if it is given.
  public let base: String?
  /// The value of `out_dtype` or `dtype`, if given: the type of mergekit's result and arithmetic.
  public let type: String?
  let slices: [Slice]
  let settings: RecipeSettings
  /// The lines of the method and of the base.
  let methodLine, baseLine: Int

  /// The distinct models, in the order in which they are named.
  var models: [Model] {
    var seen: Set<String> = []
    return slices.flatMap { $0.sources.map(\.model) }.filter { seen.insert($0.path).inserted }
  }

  /// Reads a recipe.
  ///
  /// - Throws: `malformed` for invalid YAML, `usage` for settings without a counterpart in a merge
  ///   of deltas; both with the line.
  public init(contentsOf path: String) throws(DiffError) {
    self = try File.parse(path, limit: 1 << 20) { bytes throws(DiffError) in
      try MergeRecipe(String(decoding: bytes, as: UTF8.self))
    }
  }

  /// Parses the text of a recipe.
  public init(_ text: String) throws(DiffError) {
    guard let root = try RecipeNode.parse(text) else {
      throw DiffError(.malformed, "the recipe is empty")
    }
    let members = try root.members(
      "a recipe",
      ["merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype"],
      refusing: Self.refusedKeys)
    guard let name = members["merge_method"] else {
      throw root.refusal("'merge_method' is missing")
    }
    let method = try Self.method(name)
    self.text = text
    self.method = method
    methodLine = name.line
    base = try members["base_model"].flatMap { node throws(DiffError) in
      node.isNull ? nil : try Self.path(node)
    }
    baseLine = members["base_model"]?.line ?? name.line
    settings = try RecipeSettings(members["parameters"], of: method, .all)
    var type: String?
    for key in ["dtype", "out_dtype"] {
      guard let node = members[key], !node.isNull else { continue }
      guard let text = node.text, ["float16", "bfloat16", "float32"].contains(text) else {
        throw node.refusal("'\(key)' must be float16, bfloat16 or float32")
      }
      type = text
    }
    self.type = type
    switch (members["models"], members["slices"]) {
    case (let node?, nil): slices = [try Self.models(node, method)]
    case (nil, let node?): slices = try Self.slices(node, method, base)
    default: throw root.refusal("give either 'models' or 'slices'")
    }
    for slice in slices { try slice.check(method, base) }
  }

  /// The line of the first models.
  var modelsLine: Int { slices[0].line }

  private static let refusedKeys = [
    "tokenizer_source": "a diff changes tensors, not a tokenizer; omit it",
    "tokenizer": "a diff changes tensors, not a tokenizer; omit it",
    "chat_template": "a diff changes tensors, not a chat template; omit it",
    "modules": "several modules have no counterpart in a diff; use 'models'",
    "out_path": "a recipe is one merge, whose output is specified when it is run",
  ]

  private static let methods: [String: MergeMethod] = [
    "task_arithmetic": .sum, "linear": .average, "ties": .ties, "dare_linear": .dareLinear,
    "dare_ties": .dareTies, "della": .della, "della_linear": .dellaLinear,
    "breadcrumbs": .breadcrumbs, "breadcrumbs_ties": .breadcrumbsTies, "model_stock": .modelStock,
    "sce": .sce,
  ]

  private static func method(_ node: RecipeNode) throws(DiffError) -> MergeMethod {
    guard let name = node.text else { throw node.refusal("'merge_method' must be a name") }
    if let method = methods[name] { return method }
    let known = methods.keys.sorted().joined(separator: ", ")
    let reason =
      switch name {
      case "slerp", "nuslerp", "multislerp", "karcher", "nearswap", "arcee_fusion":
        "works on whole models and has no counterpart for deltas"
      case "passthrough": "copies layers of models, which a sum of deltas cannot do"
      default: "is not a method of a recipe"
      }
    throw node.refusal("'\(name)' \(reason); use one of \(known)")
  }

  /// Returns the path of a model: a string, or a mapping with only a path.
  private static func path(_ node: RecipeNode) throws(DiffError) -> String {
    if let text = node.text {
      if text.contains("+"), !File.exists(text) {
        throw node.refusal(
          "'\(text)': merge the adapter into its model first, or convert it to a diff")
      }
      return text
    }
    let members = try node.members(
      "a model", ["model", "path"],
      refusing: [
        "revision": "models are files, which have no revisions",
        "lora": "merge the adapter into its model first, or convert it to a diff",
        "override_architecture": "tensors are matched by their names",
      ])
    guard members.count == 1, let inner = members.values.first else {
      throw node.refusal("a model must be the path of a diff or a checkpoint")
    }
    return try path(inner)
  }

  private static func models(
    _ node: RecipeNode, _ method: MergeMethod
  ) throws(DiffError) -> Slice {
    guard let elements = node.elements, !elements.isEmpty else {
      throw node.refusal("'models' must be a list of models")
    }
    var sources: [(model: Model, settings: RecipeSettings)] = []
    for element in elements {
      let members = try element.members("a model", ["model", "parameters"])
      guard let model = members["model"] else { throw element.refusal("lacks a 'model'") }
      sources.append(
        (
          Model(path: try path(model), line: model.line),
          try RecipeSettings(members["parameters"], of: method, .ofModel)
        ))
    }
    return Slice(layers: nil, line: node.line, sources: sources, settings: RecipeSettings())
  }

  private static func slices(
    _ node: RecipeNode, _ method: MergeMethod, _ base: String?
  ) throws(DiffError) -> [Slice] {
    guard let elements = node.elements, !elements.isEmpty else {
      throw node.refusal("'slices' must be a list of slices")
    }
    var slices: [Slice] = []
    var next = 0
    for element in elements {
      let members = try element.members(
        "a slice", ["sources", "base_model", "parameters"],
        refusing: ["residual_weight": "has no counterpart in a merge of deltas"])
      if let other = members["base_model"], try path(other) != base {
        throw other.refusal("the base of a slice must be that of the recipe")
      }
      guard let list = members["sources"]?.elements, !list.isEmpty else {
        throw element.refusal("lacks a list of 'sources'")
      }
      var sources: [(model: Model, settings: RecipeSettings)] = []
      var end = next
      for source in list {
        let members = try source.members("a source", ["model", "layer_range", "parameters"])
        guard let model = members["model"] else { throw source.refusal("lacks a 'model'") }
        let layers = try layerRange(members["layer_range"] ?? source)
        guard layers.lowerBound == next, end == next || layers.upperBound == end else {
          throw source.refusal(
            "moves layers \(layers.lowerBound) ..< \(layers.upperBound); deltas "
              + "stay in the layers of their base")
        }
        end = layers.upperBound
        sources.append(
          (
            Model(path: try path(model), line: model.line),
            try RecipeSettings(members["parameters"], of: method, .ofModel)
          ))
      }
      slices.append(
        Slice(
          layers: next..<end, line: list[0].line, sources: sources,
          settings: try RecipeSettings(members["parameters"], of: method, .ofSlice)))
      next = end
    }
    return slices
  }

  private static func layerRange(_ node: RecipeNode) throws(DiffError) -> Range<Int> {
    let ends = node.elements?.compactMap { $0.text.flatMap { Int($0) } } ?? []
    guard ends.count == 2, ends[0] >= 0, ends[0] < ends[1], ends[1] <= 1 << 20 else {
      throw node.refusal("'layer_range' must be [first, end]")
    }
    return ends[0]..<ends[1]
  }
}

extension MergeRecipe.Slice {
  /// Refuses a model that is named twice, and too few models for the method.
  fileprivate func check(_ method: MergeMethod, _ base: String?) throws(DiffError) {
    var seen: Set<String> = []
    for (model, _) in sources where !seen.insert(model.path).inserted {
      throw DiffError(.usage, "line \(model.line): '\(model.path)' is named twice")
    }
    guard method != .modelStock || sources.count(where: { $0.model.path != base }) > 1 else {
      throw DiffError(
        .usage, "line \(line): 'model_stock' compares models; name at least two beside the base")
    }
  }
}
