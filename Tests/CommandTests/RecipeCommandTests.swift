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
}
