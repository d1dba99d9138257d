import DiffOperations
import SystemSupport
import TensorCore

/// A merge in mergekit's vocabulary (github.com/arcee-ai/mergekit, version 0.1.5), written in YAML or
/// JSON: which models, by which method, with which weights.
public struct MergeRecipe: Sendable {
  /// A model of the recipe.
  struct Model: Sendable {
    /// A diff, or a checkpoint.
    let path: String
    let line: Int
  }

  /// A run of layers with what is set for it; a recipe without slices is one slice of all layers.
  struct Slice: Sendable {
    /// The layers; nil for all of them.
    let layers: Range<Int>?
    /// Each model of the slice, with what is set for it.
    var sources: [(model: Model, settings: RecipeSettings)]
    /// What is set for all models of the slice.
    let settings: RecipeSettings
  }

  /// The recipe as it is written.
  public let text: String
  /// How deltas become one.
  public let method: MergeMethod
  /// The base, if it is named.
  public let base: String?
  /// `dtype` or `out_dtype`, if one is given: the type of mergekit's arithmetic and result.
  public let type: String?
  let slices: [Slice]
  let settings: RecipeSettings
  /// Where the method is named, and the base.
  let methodLine, baseLine: Int

  /// All models, each once, in the order in which they are named.
  var models: [Model] {
    var seen: Set<String> = []
    return slices.flatMap { $0.sources.map(\.model) }.filter { seen.insert($0.path).inserted }
  }

  /// Reads a recipe.
  ///
  /// - Throws: `malformed` for what is no YAML, `usage` for what has no counterpart in a merge of
  ///   deltas; both with the line.
  public init(contentsOf path: String) throws(DiffError) {
    self = try File.parse(path, limit: 1 << 20) { bytes throws(DiffError) in
      try MergeRecipe(String(decoding: bytes, as: UTF8.self))
    }
  }

  /// Reads the text of a recipe.
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
        throw node.refusal("'\(key)' is to be float16, bfloat16 or float32")
      }
      type = text
    }
    self.type = type
    switch (members["models"], members["slices"]) {
    case (let node?, nil): slices = [try Self.models(node, method)]
    case (nil, let node?): slices = try Self.slices(node, method, base)
    default: throw root.refusal("give either 'models' or 'slices'")
    }
    for slice in slices where Set(slice.sources.map(\.model.path)).count < slice.sources.count {
      throw root.refusal("names a model twice")
    }
  }

  private static let refusedKeys = [
    "tokenizer_source": "a diff changes tensors, no tokenizer; leave it out",
    "tokenizer": "a diff changes tensors, no tokenizer; leave it out",
    "chat_template": "a diff changes tensors, no chat template; leave it out",
    "modules": "several modules have no counterpart in a diff; give 'models'",
    "out_path": "a recipe is one merge, whose output is named when it is run",
  ]

  private static let methods: [String: MergeMethod] = [
    "task_arithmetic": .sum, "linear": .average, "ties": .ties, "dare_linear": .dareLinear,
    "dare_ties": .dareTies, "della": .della, "della_linear": .dellaLinear,
    "breadcrumbs": .breadcrumbs, "breadcrumbs_ties": .breadcrumbsTies, "model_stock": .modelStock,
    "sce": .sce,
  ]

  private static func method(_ node: RecipeNode) throws(DiffError) -> MergeMethod {
    guard let name = node.text else { throw node.refusal("'merge_method' is to be a name") }
    if let method = methods[name] { return method }
    let known = methods.keys.sorted().joined(separator: ", ")
    let reason =
      switch name {
      case "slerp", "nuslerp", "multislerp", "karcher", "nearswap", "arcee_fusion":
        "works on whole models, and has no counterpart for deltas"
      case "passthrough": "takes layers of models as they are, which no sum of deltas does"
      default: "is no method of a recipe"
      }
    throw node.refusal("'\(name)' \(reason); there are \(known)")
  }

  /// The path of a model: a text, or a mapping with nothing but a path.
  private static func path(_ node: RecipeNode) throws(DiffError) -> String {
    if let text = node.text {
      if text.contains("+"), !File.exists(text) {
        throw node.refusal("'\(text)': an adapter is merged into its model first, or made a diff")
      }
      return text
    }
    let members = try node.members(
      "a model", ["model", "path"],
      refusing: [
        "revision": "models are files here, which have no revisions",
        "lora": "an adapter is merged into its model first, or made a diff",
        "override_architecture": "tensors go by their names here",
      ])
    guard members.count == 1, let inner = members.values.first else {
      throw node.refusal("a model is to be the path of a diff or a checkpoint")
    }
    return try path(inner)
  }

  private static func models(
    _ node: RecipeNode, _ method: MergeMethod
  ) throws(DiffError) -> Slice {
    guard let elements = node.elements, !elements.isEmpty else {
      throw node.refusal("'models' is to be a list of models")
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
    return Slice(layers: nil, sources: sources, settings: RecipeSettings())
  }

  private static func slices(
    _ node: RecipeNode, _ method: MergeMethod, _ base: String?
  ) throws(DiffError) -> [Slice] {
    guard let elements = node.elements, !elements.isEmpty else {
      throw node.refusal("'slices' is to be a list of slices")
    }
    var slices: [Slice] = []
    var next = 0
    for element in elements {
      let members = try element.members(
        "a slice", ["sources", "base_model", "parameters"],
        refusing: ["residual_weight": "has no counterpart in a merge of deltas"])
      if let other = members["base_model"], try path(other) != base {
        throw other.refusal("the base of a slice is to be that of the recipe")
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
            "takes layers \(layers.lowerBound) ..< \(layers.upperBound) to where others stand; deltas "
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
          layers: next..<end, sources: sources,
          settings: try RecipeSettings(members["parameters"], of: method, .ofSlice)))
      next = end
    }
    return slices
  }

  private static func layerRange(_ node: RecipeNode) throws(DiffError) -> Range<Int> {
    let ends = node.elements?.compactMap { $0.text.flatMap { Int($0) } } ?? []
    guard ends.count == 2, ends[0] >= 0, ends[0] < ends[1], ends[1] <= 1 << 20 else {
      throw node.refusal("'layer_range' is to be [first, end]")
    }
    return ends[0]..<ends[1]
  }
}
