import Checkpoints
import DiffFormat
import DiffOperations
import MergeRecipes
import TensorCore
import Testing
import TestSupport

/// Valid recipes, and refusals with the line.
@Suite struct RecipeTests {
  private func refusal(_ text: String) -> String {
    let error = #expect(throws: DiffError.self) { try MergeRecipe(text) }
    return error.map { "\($0)" } ?? ""
  }

  private let models = """
    models:
      - model: a.diff
        parameters: {weight: 0.5, density: [0.8, 0.3]}
      - model: b.diff
        parameters:
          weight:
            - filter: mlp
              value: 0.5
            - value: 1e-1
          density: 0.5

    """

  @Test("a recipe is read, in YAML and in JSON")
  func reading() throws {
    let recipe = try MergeRecipe(
      "merge_method: ties\nbase_model: base.h5\ndtype: bfloat16\n" + models
        + "parameters:\n  normalize: false\n  int8_mask: true\n  lambda: 0.7\n")
    #expect(recipe.method == .ties)
    #expect(recipe.base == "base.h5")
    #expect(recipe.type == "bfloat16")
    let json = try MergeRecipe(
      """
      {"merge_method": "dare_linear", "models": [{"model": {"path": "a.diff"},
       "parameters": {"weight": 1, "density": 0.5}}], "parameters": null}
      """)
    #expect(json.method == .dareLinear)
    #expect(json.base == nil)
  }

  @Test(
    "settings without a counterpart are refused with the line",
    arguments: [
      ("merge_method: slerp\n", "line 1", "slerp"),
      ("merge_method: karcher\n", "line 1", "karcher"),
      ("merge_method: passthrough\n", "line 1", "passthrough"),
      ("merge_method: arcee_fusion\n", "line 1", "arcee_fusion"),
      ("merge_method: best\n", "line 1", "task_arithmetic"),
      ("merge_method: ties\ntokenizer_source: union\n", "line 2", "tokenizer"),
      ("merge_method: ties\nchat_template: auto\n", "line 2", "chat template"),
      ("merge_method: ties\nmetric: 1\n", "line 2", "'metric'"),
      ("merge_method: ties\nparameters:\n  t: 1\n", "line 3", "interpolate"),
      ("merge_method: task_arithmetic\nparameters:\n  density: 1\n", "line 3", "does not apply"),
      ("merge_method: ties\nparameters:\n  weight: x\n", "line 3", "not a number"),
      ("merge_method: ties\nparameters:\n  normalize: 3\n", "line 3", "true or false"),
      ("merge_method: ties\nparameters:\n  lambda: [1, 2]\n", "line 3", "one number"),
      ("merge_method: ties\ndtype: int8\n", "line 2", "bfloat16"),
      ("merge_method: ties\nmerge_method: sce\n", "line", "twice"),
      ("merge_method: [ties\n", "line", ""),
      ("merge_method: *method\n", "line 1", "alias"),
      ("merge_method: ties\nmodels: &all\n  - *all\n", "line 2", "alias"),
      ("merge_method: ties\n---\nmerge_method: ties\n", "line 3", "another document"),
      ("merge_method: \u{1}\n", "", "control characters"),
      ("merge_method: {[a]: b, 'c': d, c: e}\n", "line 1", "'c' is given twice"),
      ("- 1\n", "line 1", "mapping"),
      ("", "", "empty"),
    ])
  func refused(text: String, line: String, word: String) {
    let message = refusal(text)
    #expect(message.contains(line) && message.contains(word), "\(message)")
  }

  /// Recipes in the shapes of those that mergekit comes with.
  @Test(
    "recipes of the usual shapes are read, or refused with line and reason",
    arguments: [
      (
        """
        models:
          - {model: north}
          - {model: south}
        merge_method: arcee_fusion
        base_model: north
        dtype: bfloat16
        """, "line 4: 'arcee_fusion' works on whole models"
      ),
      (
        """
        models:
          - model: clinic
            parameters: {density: 0.4, weight: 0.6}
          - model: letters
            parameters: {density: 0.6, weight: 0.4}
        merge_method: ties
        base_model: plain
        parameters:
          normalize: false
          int8_mask: true
        dtype: float16
        """, nil
      ),
      (
        """
        slices:
          - sources:
              - model: north
                layer_range: [0, 12]
              - model: south
                layer_range: [0, 12]
        # merged by turns
        merge_method: slerp
        base_model: north
        parameters:
          t:
            - filter: attention
              value: [0, 0.4, 0.8, 1]
            - value: 0.5 # everything else
        dtype: float16
        """, "line 8: 'slerp' works on whole models"
      ),
      (
        """
        models:
          - model: north
            parameters:
              weight: 1.0
          - model: south
            parameters:
              weight: 0.2
          - model: west
            parameters:
              weight: 0.7
        merge_method: linear
        dtype: float16
        """, nil
      ),
      (
        """
        slices:
          - sources:
            - model: north
              layer_range: [0, 8]
          - sources:
            - model: south
              layer_range: [4, 12]
        merge_method: passthrough
        dtype: float16
        """, "line 8: 'passthrough' copies layers"
      ),
      (
        """
        models:
          - model: north
            parameters:
              density: [0.9, 0.5, 0.2] # from layer to layer
              weight: 1.0
          - model: south
            parameters:
              density: 0.4
              weight: [0, 0.5, 0.9, 1]
          - model: west
            parameters:
              density: 0.3
              weight:
                - filter: mlp
                  value: 0.6
                - value: 0
        merge_method: ties
        base_model: plain
        parameters: {normalize: true, int8_mask: true}
        dtype: float16
        """, nil
      ),
    ] as [(String, String?)])
  func shapes(text: String, refused: String?) throws {
    if let refused {
      let message = refusal(text)
      #expect(message.contains(refused), "\(message)")
    } else {
      let recipe = try MergeRecipe(text)
      #expect(recipe.text == text && recipe.type == "float16")
      #expect([.ties, .average].contains(recipe.method))
    }
  }

  @Test("a recipe with gradients and filters merges diffs as it says")
  func gradients() throws {
    try withDiffs { scratch in
      // Its names have the layers that the gradient goes over.
      let (base, tensors) = try CheckpointFile.make(
        at: scratch("base"), .safetensors,
        ["layers.0.mlp", "layers.1.mlp", "layers.2.attn", "norm"].map {
          (TensorName($0), .f32, Shape(vector: 4))
        }, metadata: [:], overwriting: false)
      for tensor in tensors {
        try base.write(littleEndian([0, 0, 0, 0] as [Float]).span, to: tensor, at: 0)
      }
      try base.commit()
      let (_, diff) = try merge(
        """
        base_model: base
        models:
          - model: a.diff
            parameters:
              weight: [0, 1]
          - model: b.diff
            parameters:
              weight:
                - filter: mlp
                  value: 0.5
                - value: 0
        merge_method: task_arithmetic
        parameters: {normalize: false}
        """, scratch)
      // The first element is 1 in one diff and 2 in the other, the last one is 10 in both; weights
      // of the first diff are 0, ½, 1 from layer to layer, and 0 where there is none.
      for (name, values) in [
        ("layers.0.mlp", [1, 5]), ("layers.1.mlp", [1.5, 10]), ("layers.2.attn", [1, 10]),
      ] as [(String, [Double])] {
        let entry = try #require(diff.first { $0.name == TensorName(name) })
        guard case .add(let type, let scale) = entry.operation else {
          Issue.record("\(name) is no addition")
          continue
        }
        var (positions, numbers): ([UInt64], [Double]) = ([], [])
        var pages = diff.pages(of: entry)
        while let changes = try pages.next() {
          positions += (0..<changes.count).map { changes.position($0) }
          numbers += changes.numbers(type, scale: scale)
        }
        #expect(positions == [0, 3] && numbers == values, "\(name)")
      }
    }
  }

  @Test("invalid models and slices are refused with the line")
  func refusedModels() {
    for (text, words) in [
      ("models: []\n", ["line 2", "list"]),
      ("models:\n  - {}\n", ["line 3", "lacks a 'model'"]),
      ("models:\n  - model: a\n  - model: a\n", ["twice"]),
      ("models:\n  - model: a\n    parameters: {normalize: true}\n", ["line 4", "whole merge"]),
      ("models:\n  - model: a+lora\n", ["line 3", "adapter"]),
      ("models:\n  - model: {path: a, revision: b}\n", ["line 3", "revision"]),
      (
        "slices:\n  - sources:\n    - {model: a, layer_range: [0, 2]}\n"
          + "  - sources:\n    - {model: a, layer_range: [1, 3]}\n", ["line 6", "1 ..< 3"]
      ),
      (
        "slices:\n  - sources:\n    - {model: a, layer_range: [2, 0]}\n", ["line 4", "layer_range"]
      ),
      ("models:\n  - model: a\nslices: []\n", ["either"]),
    ] {
      let message = refusal("merge_method: ties\n" + text)
      for word in words { #expect(message.contains(word), "\(message)") }
    }
  }

  @Test("deep nesting ends in an error, not in a crash")
  func nesting() {
    for text in [
      String(repeating: "[", count: 100_000), String(repeating: "- ", count: 100_000) + "a",
      String(repeating: "{a: ", count: 100_000),
    ] {
      #expect(!refusal(text).isEmpty)
    }
  }

  @Test("aliases stand for what they name, however often, in no more memory")
  func aliases() throws {
    let recipe = try MergeRecipe(
      """
      merge_method: ties
      models:
        - {model: a.diff, parameters: &same {weight: "0.5", density: 0.25}}
        - {model: b.diff, parameters: *same}
      """)
    #expect(recipe.method == .ties)
    // Each line is nine times the one before: 9^30 values.
    var bomb = "merge_method: ties\nx0: &x0 a\n"
    for level in 1...30 {
      let names = [String](repeating: "*x\(level - 1)", count: 9).joined(separator: ", ")
      bomb += "x\(level): &x\(level) [\(names)]\n"
    }
    #expect(refusal(bomb).contains("'x0' is unknown"))
  }

  /// Two diffs on one base, as files.
  private func withDiffs(_ body: (Scratch) throws -> Void) throws {
    try Scratch.with { scratch in
      for (number, name) in ["a.diff", "b.diff"].enumerated() {
        let sink = MemorySink()
        let writer = try DiffWriter(sink)
        for tensor in ["layers.0.mlp", "layers.1.mlp", "layers.2.attn", "norm"] {
          let shape = Shape(vector: 4)
          let entry = DiffEntry(
            TensorName(tensor), .add(values: .f32, scale: 0), .f32, shape,
            base: Fingerprint(high: 1, low: 2))
          try writer.begin(entry)
          let values = littleEndian([Float(number + 1), 10])
          let offsets: [UInt32] = [0, 3]
          try writer.append(ChangeView(at: 0, offsets.span, values.span))
          try writer.end()
        }
        try writer.finish()
        try write(sink.bytes, toFile: scratch(name))
      }
      try body(scratch)
    }
  }

  private func merge(_ text: String, _ scratch: Scratch) throws -> (RecipeMerge, DiffReader) {
    var options = MergeOptions()
    // The base of the diffs is not a file.
    options.allowsOtherBase = true
    let merge = try RecipeMerge(
      MergeRecipe(text), at: scratch("recipe.yml"), scratch: scratch("m.diff"), options: options)
    let sink = MemorySink()
    _ = try Diffs.merge(merge.inputs, into: sink, merge.options)
    return (merge, try DiffReader(bytes: sink.bytes))
  }

  @Test("diffs are merged by a recipe, which is in the metadata")
  func diffs() throws {
    try withDiffs { scratch in
      let text = """
        merge_method: task_arithmetic
        models:
          - model: a.diff
            parameters: {weight: 2}
          - model: b.diff
            parameters:
              weight:
                - filter: attn
                  value: 0
                - value: -1
        """
      let (recipe, made) = try merge(text, scratch)
      #expect(recipe.inputs.map { $0.weight["layers/2/attn"] } == [2, 0])
      #expect(recipe.inputs.map { $0.weight["layers.0.mlp"] } == [2, -1])
      #expect(made.metadata["diffkit.merge.recipe"] == text)
      #expect(made.metadata["diffkit.merge.parent.1"] != nil)
      // 2 · 1 − 1 · 2 cancels, 2 · 10 − 10 does not.
      #expect(made.map(\.count) == [1, 1, 2, 1])
    }
  }

  @Test("models that cannot be opened, or lack a base, are refused with the line")
  func missing() throws {
    try withDiffs { scratch in
      for (text, words) in [
        ("merge_method: sce\nmodels:\n  - model: x/y\n", ["line 3", "x/y"]),
        (
          "merge_method: ties\nmodels:\n  - model: a.diff\n    parameters: {weight: [0, 1]}\n",
          ["line 1", "base_model"]
        ),
        ("merge_method: ties\nmodels:\n  - model: a.diff\n", ["line 3", "'weight'"]),
        (
          "merge_method: linear\nmodels:\n  - model: a.diff\n    parameters: {weight: 0.5}\n"
            + "parameters: {normalize: false}\n", ["line 1", "0.5"]
        ),
      ] {
        let error = #expect(throws: DiffError.self) { try merge(text, scratch) }
        for word in words { #expect(error.map { "\($0)" }?.contains(word) == true, "\(word)") }
      }
    }
  }
}
