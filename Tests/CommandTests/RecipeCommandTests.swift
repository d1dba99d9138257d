import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Merging with a recipe, from the command line.
@Suite struct RecipeCommandTests {
  private let text = """
    merge_method: task_arithmetic
    base_model: base.h5
    models:
      - model: all.diff
        parameters: {weight: 0.5}
      - model: tuned.h5
        parameters:
          weight:
            - filter: kernel
              value: 1
            - value: -0.5
    dtype: bfloat16

    """

  @Test("a recipe of a diff and a checkpoint makes a diff that stores its recipe")
  func merging() throws {
    try Fixture.with { fixture in
      let (recipe, made, result) = (fixture("r.yml"), fixture("m.diff"), fixture("m.h5"))
      try write(Array(text.utf8), toFile: recipe)
      try fixture.diff("all.diff", .add(.all, values: .f32))
      let before = try fixture.folder.names
      expectSuccess(
        try Diffkit.run("merge", recipe, "-o", made, "--meta", "task=mine"),
        "out of 4 of 2 diffs (sum)",
        "bfloat16 is not the type of the base")
      #expect(try fixture.folder.names == (before + ["m.diff"]).sorted())
      #expect(try DiffReader(made).metadata["task"] == "mine")
      expectSuccess(try Diffkit.run("merge", "--show", made), "merge_method: task_arithmetic")
      #expect(try Diffkit.run("merge", made, "--show").output == text)
      expectSuccess(try Diffkit.run("apply", fixture("base.h5"), made, "-o", result))
      // One tensor gets 0.5 + 1 of the change, the other 0.5 - 0.5.
      func first(_ tensor: TensorName, _ file: String) throws -> Float {
        Float(bitPattern: try fixture.bytes(of: tensor, file).littleEndian(at: 0))
      }
      let start = try first("model/kernel:0", "base.h5")
      #expect(
        abs(try first("model/kernel:0", "m.h5") - (start + 1.5 * (1.25 - start))) < 1e-3)
      #expect(try first("model/big", "m.h5") == first("model/big", "base.h5"))
      let preview = try Diffkit.run("merge", recipe, "--dry-run")
      #expect(preview.code == 1 && preview.output.contains("cancelled: 1"), "\(preview)")
    }
  }

  @Test("errors are reported with file and line, and nothing is written")
  func refused() throws {
    try Fixture.with { fixture in
      let (recipe, made) = (fixture("r.yml"), fixture("m.diff"))
      try fixture.diff("all.diff", .add(.all, values: .f32))
      try write(Array(text.replacing("task_arithmetic", with: "slerp").utf8), toFile: recipe)
      expectTrouble(try Diffkit.run("merge", recipe, "-o", made), "r.yml", "line 1", "slerp")
      try remove(recipe)
      try write(Array(text.replacing("tuned.h5", with: "gone.h5").utf8), toFile: recipe)
      expectTrouble(try Diffkit.run("merge", recipe, "-o", made), "r.yml", "line 6", "gone.h5")
      expectTrouble(
        try Diffkit.run("merge", recipe, "--method", "ties", "-o", made), "--method", "recipe")
      expectTrouble(
        try Diffkit.run("merge", recipe, fixture("add.diff"), "-o", made), "give it alone")
      expectTrouble(try Diffkit.run("merge", "--show", fixture("add.diff")), "inspect")
      #expect(!fixture.folder.exists("m.diff"))
    }
  }

  @Test("--show prints the bytes of the recipe")
  func showing() throws {
    try Fixture.with { fixture in
      let (recipe, made) = (fixture("r.yml"), fixture("m.diff"))
      let text =
        "merge_method: sce # a\ttab\r\nmodels:\r\n  - model: add.diff\r\n  - {model: ./add.diff}"
      try write(Array(text.utf8), toFile: recipe)
      expectSuccess(try Diffkit.run("merge", recipe, "-o", made))
      #expect(try Diffkit.run("merge", "--show", made).output == text)
      let again = fixture("again.yml")
      try write(Array(Diffkit.run("merge", "--show", made).output.utf8), toFile: again)
      expectSuccess(try Diffkit.run("merge", again, "-o", made, "--force"))
    }
  }

  @Test("options that a recipe does not use are refused")
  func ignored() throws {
    try Fixture.with { fixture in
      let recipe = fixture("r.yml")
      try write(
        Array("merge_method: sce\nmodels:\n  - model: add.diff\n".utf8), toFile: recipe)
      for (option, words) in [
        (["--seed", "3"], "does not apply to 'sce'"), (["--tune-budget", "20"], "needs --tune"),
        (["--config", "x"], "needs --tune"), (["--vocab", "x"], "needs --tune"),
        (["--tune-densities"], "needs --tune"), (["--tune", "x"], "exclude each other"),
        (["--rows", "first"], "no diff changes the number of rows"),
      ] {
        let answer = Answer(
          try .run(Diffkit.path, ["merge", recipe, "-o", fixture("m.diff")] + option))
        expectTrouble(answer, option[0], words)
      }
    }
  }

  @Test("bad values are refused with the recipe and the line, also while merging")
  func lines() throws {
    try Fixture.with { fixture in
      let (recipe, made) = (fixture("r.yml"), fixture("m.diff"))
      for (text, line) in [
        ("{weight: 1, density: 2}", "line 4"), ("{weight: 1, gamma: 2}", "line 4"),
        ("{weight: 1, epsilon: 0.3, density: 0.8}", "line 3"),
      ] {
        let method = text.contains("gamma") ? "breadcrumbs" : "della"
        try? remove(recipe)
        try write(
          Array(
            "merge_method: \(method)\nmodels:\n  - model: add.diff\n    parameters: \(text)\n".utf8),
          toFile: recipe)
        for more in [["-o", made], ["--dry-run"]] {
          expectTrouble(Answer(try .run(Diffkit.path, ["merge", recipe] + more)), recipe, line)
        }
      }
      try remove(recipe)
      try write(
        Array(
          """
          merge_method: linear
          models:
            - model: add.diff
              parameters: {weight: 1}
            - model: ./add.diff
              parameters: {weight: [{filter: kernel, value: -1}, {value: 1}]}
          """.utf8), toFile: recipe)
      expectTrouble(
        try Diffkit.run("merge", recipe, "-o", made), "r.yml", "line 3", "model/kernel:0")
      expectTrouble(try Diffkit.run("merge", recipe, "--dry-run"), "r.yml", "line 3")
    }
  }

  @Test("a recipe merges models with more rows, with rows and heads chosen beside it")
  func grown() throws {
    try Fixture.with { fixture in
      func tensors(_ words: [Float], _ head: [Float]) throws -> [MemoryTensor] {
        [
          MemoryTensor(
            "words", .f32, try #require(Shape([UInt64(words.count / 2), 2])), littleEndian(words)),
          MemoryTensor("w", .f32, littleEndian([1, 2] as [Float])),
          MemoryTensor("head", .f32, littleEndian(head)),
        ]
      }
      try fixture.make("b", Array(tensors([1, 2, 3, 4], [0]).prefix(2)))
      try fixture.make("x", tensors([2, 2, 3, 4, 10, 11], [1]))
      try fixture.make("y", tensors([1, 2, 3, 8, 20, 21, 30, 31], [1, 2]))
      expectSuccess(
        try Diffkit.run(
          "create", fixture("b"), fixture("y"), "--add", "--values", "f32", "-o",
          fixture("y.diff")))
      let (recipe, made) = (fixture("r.yml"), fixture("m.diff"))
      try write(
        Array(
          """
          merge_method: task_arithmetic
          base_model: b
          models:
            - model: x
              parameters:
                weight: [{filter: words, value: 0.5}, {value: 1}]
            - {model: y.diff, parameters: {weight: 1}}
          """.utf8), toFile: recipe)
      expectTrouble(
        try Diffkit.run("merge", recipe, "-o", made, "--head", "first"), "words", "--rows first")
      expectTrouble(
        try Diffkit.run("merge", recipe, "-o", made, "--rows", "first"), "head", "--head")
      let options = ["--rows", "y.diff", "--head", "y.diff", "-o", made]
      expectSuccess(
        Answer(try .run(Diffkit.path, ["merge", recipe] + options)), "rows chosen: words")
      expectSuccess(try Diffkit.run("apply", fixture("b"), made, "-o", fixture("out")))
      #expect(
        try fixture.bytes(of: "words", "out")
          == littleEndian([1.5, 2, 3, 8, 20, 21, 30, 31] as [Float]))
      #expect(try fixture.bytes(of: "head", "out") == littleEndian([1, 2] as [Float]))
      // A base that is not here cannot have the old rows.
      try remove(recipe)
      try write(
        Array("merge_method: sce\nbase_model: hub/b\nmodels:\n  - model: y.diff\n".utf8),
        toFile: recipe)
      expectTrouble(
        try Diffkit.run("merge", recipe, "-o", made, "--rows", "first", "--force"), "line 2",
        "base_model")
    }
  }
}
