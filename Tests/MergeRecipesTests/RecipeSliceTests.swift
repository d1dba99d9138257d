import Checkpoints
import DiffFormat
import DiffOperations
import MergeRecipes
import TensorCore
import Testing
import TestSupport

/// Slices that name other models than the rest: each has a part in its own slices alone. Expected
/// numbers are mergekit's formulas (`sce.py`, `model_stock.py`, `linear.py`) in float64.
@Suite struct RecipeSliceTests {
  private static let base: [Float] = [1, -2, 0.5, 4]
  /// The deltas of each model, in both layers.
  private static let deltas: [String: [Double]] = [
    "a": [0.5, -0.25, 0, 1], "b": [0.25, 0.75, -0.5, 0], "c": [-1, 0.5, 0.125, 2],
  ]

  private func withModels(_ body: (RecipeModels) throws -> Void) throws {
    try RecipeModels.with { models in
      func tensors(_ deltas: [Double]) -> [(name: String, values: [Float])] {
        let values = zip(Self.base, deltas).map { Float(Double($0) + $1) }
        return ["model.layers.0.w", "model.layers.1.w", "lm_head.w"].map { ($0, values) }
      }
      try models.make("base", tensors([0, 0, 0, 0]))
      for (name, deltas) in Self.deltas {
        try models.make(name, tensors(deltas))
        try models.diff(name + ".diff", from: "base", to: name)
      }
      try body(models)
    }
  }

  /// A recipe of two layers, each a slice of these models.
  private func recipe(
    _ method: String, _ slices: [[String]], suffix: String = "", _ more: String = ""
  ) -> String {
    var text = "merge_method: \(method)\nbase_model: base\nslices:\n"
    for (layer, models) in slices.enumerated() {
      text += "- sources:\n"
      for model in models {
        let path = model == "base" ? model : model + suffix
        text += "  - {model: \(path), layer_range: [\(layer), \(layer + 1)]}\n"
      }
    }
    return text + more
  }

  private func sce(_ models: [String]) -> [Double] {
    let deltas = models.compactMap { Self.deltas[$0] }
    let squares = deltas.map { $0.reduce(0) { $0 + $1 * $1 } }
    let weights = squares.map { $0 / squares.reduce(0, +) }
    return (0..<4).map { at in
      let isPositive = deltas.reduce(0) { $0 + $1[at] } >= 0
      var (sum, divisor) = (0.0, 0.0)
      for (delta, weight) in zip(deltas, weights)
      where delta[at] != 0 && (delta[at] > 0) == isPositive {
        sum += delta[at] * weight
        divisor += weight
      }
      return divisor > 0 ? sum / divisor : 0
    }
  }

  private func stock(_ models: [String]) -> [Double] {
    let deltas = models.compactMap { Self.deltas[$0] }
    func product(_ one: [Double], _ other: [Double]) -> Double {
      zip(one, other).reduce(0) { $0 + $1.0 * $1.1 }
    }
    var cosines: [Double] = []
    for (index, one) in deltas.enumerated() {
      for other in deltas[(index + 1)...] {
        cosines.append(
          product(one, other) / (product(one, one) * product(other, other)).squareRoot())
      }
    }
    let (count, cosine) = (
      Double(deltas.count), cosines.reduce(0, +) / Double(cosines.count)
    )
    let ratio = count * cosine / (1 + (count - 1) * cosine)
    return (0..<4).map { at in ratio * deltas.reduce(0) { $0 + $1[at] } / count }
  }

  private func expect(
    _ diff: DiffReader, _ tensor: TensorName, _ expected: [Double],
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let found = try diff.changes(of: tensor)
    for (one, other) in zip(found, expected) {
      #expect(
        abs(one - other) <= 1e-6 * max(1, abs(other)), "\(tensor): \(found), not \(expected)",
        sourceLocation: location)
    }
  }

  @Test("methods without weights take only the models of a slice", arguments: ["", ".diff"])
  func unweighted(suffix: String) throws {
    try withModels { models in
      let slices = [["a", "b", "c", "base"], ["a", "c", "base"]]
      for (method, formula) in [("sce", sce), ("model_stock", stock)] {
        let diff = try models.merge(recipe(method, slices, suffix: suffix))
        try expect(diff, "model.layers.0.w", formula(["a", "b", "c"]))
        try expect(diff, "model.layers.1.w", formula(["a", "c"]))
        try expect(diff, "lm_head.w", formula(["a", "c"]))
      }
      // The positions that differ most are the first and the last of a, b and c, but the second and
      // the last of a and b.
      let diff = try models.merge(
        recipe(
          "sce", [["a", "b", "c"], ["a", "b"]], suffix: suffix,
          "parameters: {select_topk: 0.5}\n"))
      func changed(_ tensor: TensorName) throws -> [Bool] {
        try diff.changes(of: tensor).map { $0 != 0 }
      }
      #expect(try changed("model.layers.0.w") == [true, false, false, true])
      #expect(try changed("model.layers.1.w") == [false, true, false, true])
    }
  }

  @Test("a base that a slice does not name has no weight in it", arguments: ["", ".diff"])
  func linear(suffix: String) throws {
    try withModels { models in
      func mean(_ models: [String], of count: Double) -> [Double] {
        (0..<4).map { at in models.reduce(0) { $0 + (Self.deltas[$1]?[at] ?? 0) } / count }
      }
      let common = "parameters: {weight: 0.5}\n"
      let diff = try models.merge(
        recipe("linear", [["a", "base"], ["b", "c"]], suffix: suffix, common))
      try expect(diff, "model.layers.0.w", mean(["a"], of: 2))
      try expect(diff, "model.layers.1.w", mean(["b", "c"], of: 2))
      try expect(diff, "lm_head.w", mean(["b", "c"], of: 2))
      // A base without a weight is refused only where it has a part.
      let own = recipe("linear", [["a", "b"], ["b", "c"]], suffix: suffix)
        .replacing("]}", with: "], parameters: {weight: 1}}")
      try expect(models.merge(own), "model.layers.0.w", mean(["a", "b"], of: 2))
    }
  }

  @Test("the base of 'linear' counts, whether models are diffs or checkpoints")
  func base() throws {
    try withModels { models in
      func text(_ suffix: String) -> String {
        "merge_method: linear\nbase_model: base\nmodels:\n"
          + ["a", "b"].map { "  - {model: \($0)\(suffix), parameters: {weight: 0.5}}\n" }.joined()
          + "parameters: {weight: 1}\n"
      }
      for suffix in ["", ".diff"] {
        let diff = try models.merge(text(suffix))
        let expected = zip(Self.deltas["a"] ?? [], Self.deltas["b"] ?? []).map {
          (0.5 * $0 + 0.5 * $1) / 2
        }
        try expect(diff, "lm_head.w", expected)
      }
      // The weight of a base that is not here counts too.
      let away = text(".diff").replacing("base_model: base", with: "base_model: hub/base")
      let diff = try models.merge(away)
      try expect(diff, "lm_head.w", models.merge(text(".diff")).changes(of: "lm_head.w"))
    }
  }

  @Test("diffs on another base are refused with the line, and a base that is not here is noted")
  func otherBase() throws {
    try withModels { models in
      let text = """
        merge_method: task_arithmetic
        base_model: c
        models:
          - {model: a.diff, parameters: {weight: 1}}
          - {model: b.diff, parameters: {weight: 1}}
        """
      let error = #expect(throws: DiffError.self) { try models.open(text) }
      #expect(error?.code == .wrongBase && error?.remedy == .allowOtherBase)
      let message = error.map { "\($0)" } ?? ""
      #expect(message.contains("line 2:") && message.contains("a.diff"), "\(message)")
      var options = MergeOptions()
      options.allowsOtherBase = true
      let allowed = try models.open(text, options)
      #expect(allowed.notes.count == 2 && allowed.notes[0].contains("line 2:"))

      try models.make("other", [("model.layers.0.w", [0, 0])])
      let lacking = text.replacing("base_model: c", with: "base_model: other")
      #expect(throws: DiffError.self) { try models.open(lacking) }
      let away = try models.open(text.replacing("base_model: c", with: "base_model: hub/none"))
      #expect(away.notes.count == 1)
      #expect(away.notes[0].contains("line 2: 'hub/none' does not exist here"))
      let right = try models.open(text.replacing("base_model: c", with: "base_model: base"))
      #expect(right.notes == [])
    }
  }

  @Test("metadata have the numbers of each diff, and fingerprints of checkpoints")
  func metadata() throws {
    try withModels { models in
      func text(_ method: String, _ one: String, _ other: String) -> String {
        """
        merge_method: \(method)
        base_model: base
        models:
          - {model: a, parameters: {weight: [0, 1], \(one)}}
          - {model: b.diff, parameters: {weight: 0.5, \(other)}}
        """
      }
      func numbers(_ diff: DiffReader, _ key: String) -> [String] {
        let parents = (1...2).compactMap { diff.metadata["diffkit.merge.parent.\($0)"] }
        let isFirst = parents.first?.hasSuffix(" a") == true
        let all = (diff.metadata["diffkit.merge." + key] ?? "").split(separator: ",")
          .map { String($0) }
        return isFirst ? all : all.reversed()
      }
      let ties = try models.merge(text("ties", "density: 0.75", "density: 0.5"))
      #expect(numbers(ties, "density") == ["0.75", "0.5"])
      let della = try models.merge(
        text("della", "density: 0.5, epsilon: 0.25", "density: 0.5"))
      #expect(della.metadata["diffkit.merge.density"] == "0.5")
      #expect(numbers(della, "epsilon") == ["0.25", "0.15"])
      let middle = try models.merge(
        text("breadcrumbs", "density: [0.25, 0.75], gamma: 0.25", "density: 0.5, gamma: 0"))
      #expect(numbers(middle, "density") == ["0.25...0.75", "0.5"])
      #expect(numbers(middle, "gamma") == ["0.25", "0.0"])

      let fingerprint = try #require(try CheckpointFile.open(models.folder("a")).fingerprint())
      let base = try #require(try CheckpointFile.open(models.folder("base")).fingerprint())
      let identity = try DiffReader(models.folder("b.diff")).identity
      let parents = Set((1...2).compactMap { ties.metadata["diffkit.merge.parent.\($0)"] })
      #expect(parents == ["\(fingerprint) 0.0...1.0 a", "\(identity) 0.5 b.diff"])
      #expect(ties.metadata["diffkit.merge.base"] == "\(base) base")
    }
  }

  @Test("settings that the merge refuses have the line")
  func refused() throws {
    try withModels { models in
      func text(_ method: String, _ one: String, _ other: String, _ more: String = "") -> String {
        """
        merge_method: \(method)
        base_model: base
        models:
          - model: a.diff
            parameters: {\(one)}
          - model: b.diff
            parameters: {\(other)}
        \(more)
        """
      }
      let one = "weight: 1"
      for (text, words) in [
        (text("linear", one, "weight: -1", "parameters: {weight: 0}"), ["line 4", "sum to 0"]),
        (
          text("linear", "weight: {value: [1, -1]}", one, "parameters: {weight: 0}"),
          ["line 4", "model.layers.1.w"]
        ),
        (text("ties", one, one + ", density: 2"), ["line 7", "2.0"]),
        (text("ties", one, one + ", density: [1, -0.5]"), ["line 7", "-0.5"]),
        (text("breadcrumbs", one + ", gamma: 3", one), ["line 5", "3.0"]),
        (text("della", one, one + ", density: 0.9, epsilon: 0.2"), ["line 6", "density + ε"]),
        (text("ties", one, one, "parameters: {density: 3}"), ["line 8", "3.0"]),
        ("merge_method: sce\nmodels: [{model: a.diff}]\nparameters: {select_topk: 2}", ["line 3"]),
        (
          "merge_method: model_stock\nbase_model: base\nmodels:\n  - {model: a.diff}\n"
            + "  - {model: base}", ["line 4", "at least two"]
        ),
        (
          "merge_method: sce\nmodels:\n  - model: a.diff\n  - model: b.diff\n  - model: a.diff",
          ["line 5", "a.diff", "twice"]
        ),
      ] as [(String, [String])] {
        let error = #expect(throws: DiffError.self, "\(text)") {
          let recipe = try models.open(text)
          do throws(DiffError) {
            _ = try Diffs.merge(recipe.inputs, into: MemorySink(), recipe.options)
          } catch { throw recipe.locating(error) }
        }
        let message = error.map { "\($0)" } ?? ""
        for word in words { #expect(message.contains(word), "\(message)") }
      }
    }
  }

  @Test("a density that trims nothing is reported for breadcrumbs too")
  func untrimmed() throws {
    try withModels { models in
      func untrimmed(_ parameters: String) throws -> Int {
        let recipe = try models.open(
          """
          merge_method: breadcrumbs
          models:
            - {model: a.diff, parameters: {weight: 1, \(parameters)}}
          """)
        return try Diffs.merge(recipe.inputs, into: MemorySink(), recipe.options).untrimmed.count
      }
      // Three of four elements change.
      let counts = try [
        "density: 0.75, gamma: 0", "density: 0.5, gamma: 0", "density: 0.75, gamma: 0.25",
        "density: 1, gamma: 0",
      ].map(untrimmed)
      #expect(counts == [1, 0, 0, 0])
    }
  }
}
