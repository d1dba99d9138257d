import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Merging, composing, pruning, scaling, extracting and converting diffs, from the command line.
@Suite struct MergeCommandTests {
  private struct Merged: Decodable {
    struct Tensor: Decodable {
      let name: String
      let shared, opposite: Int
    }

    let changes, shared, opposite, diffs: Int
    let tensors: [Tensor]
  }

  @Test("composing on a sharded base leaves nothing beside the output")
  func shardedBase() throws {
    try Fixture.with { fixture in
      for name in ["base", "tuned"] {
        let folder = Scratch(path: fixture(name))
        expectSuccess(Answer(try ChildProcess.run("mkdir", [folder.path])))
        let shard = "model-00001-of-00001.safetensors"
        expectSuccess(try Diffkit.run("convert", fixture(name + ".h5"), folder(shard)))
        let names = try CheckpointFile.open(folder(shard)).tensors.map {
          "\"\($0.name)\":\"\(shard)\""
        }
        try write(
          Array("{\"weight_map\":{\(names.joined(separator: ","))}}".utf8),
          toFile: folder("model.safetensors.index.json"))
      }
      let (one, both) = (fixture("one.diff"), fixture("both.diff"))
      expectSuccess(try Diffkit.run("create", fixture("base"), fixture("tuned"), "-o", one))
      expectSuccess(
        try Diffkit.run("compose", one, "--base", fixture("base"), "-o", both), "1 diff")
      expectSuccess(try Diffkit.run("compare", one, both), "same")
      #expect(try !fixture.folder.names.contains { $0.contains("tmp") })
    }
  }

  @Test("merge sums and counts conflicts, also in JSON")
  func merging() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      let scaled = fixture("scaled.diff")
      expectSuccess(try Diffkit.run("scale", add, "0.5", "-o", scaled), "exactly")
      expectSuccess(
        try Diffkit.run("merge", add, scaled, "--weights", "1,-1", "-o", made),
        "conflicts: 2 positions changed by several, 2 of them in opposite directions")
      // The sum with weights 1 and -1 of the change and its half is half of the change.
      let half = fixture("half.h5")
      expectSuccess(try Diffkit.run("apply", fixture("base.h5"), made, "-o", half))
      let other = fixture("other.h5")
      expectSuccess(try Diffkit.run("apply", fixture("base.h5"), scaled, "-o", other))
      #expect(try fixture.sameTensors("half.h5", "other.h5"))

      let json = try Diffkit.run(
        "merge", add, scaled, "--method", "ties", "-o", made, "--force", "--json"
      ).json(Merged.self)
      #expect(json.changes == 2)
      #expect(json.shared == 2)
      #expect(json.opposite == 0)
      #expect(json.tensors.map(\.name) == ["model/big", "model/kernel:0"])
      expectSuccess(
        try Diffkit.run("inspect", made), "diffkit.merge.method", "ties", "add.diff",
        "diffkit.merge.variant")
      for method in MergeMethod.allCases {
        let density = ["dare", "della", "bread"].contains { method.rawValue.hasPrefix($0) }
        let arguments = density ? ["--density", "0.5", "--density-of", "nonzeros"] : []
        let answer = Answer(
          try ChildProcess.run(
            Diffkit.path,
            ["merge", add, scaled, "-o", made, "--force", "--method", method.rawValue]
              + arguments))
        expectSuccess(answer, "(\(method.rawValue))")
      }
    }
  }

  @Test("merge refuses exact diffs, single diffs and contradictory options")
  func refused() throws {
    try Fixture.with { fixture in
      let (add, exact, made) = (fixture("add.diff"), fixture("exact.diff"), fixture("made.diff"))
      expectTrouble(
        try Diffkit.run("merge", add, exact, "-o", made), "exact.diff", "model/big", "create --add",
        "compose")
      expectTrouble(try Diffkit.run("merge", add), "-o FILE")
      expectTrouble(try Diffkit.run("merge", add, "--weights", "1,2", "-o", made), "2 weights")
      expectTrouble(try Diffkit.run("merge", add, "--density", "0.5", "-o", made), "--prune-to")
      expectTrouble(try Diffkit.run("merge", add, "-o", add, "--force"), "is an input")
      expectTrouble(try Diffkit.run("compose", add, "-o", made), "'merge'")
      expectTrouble(try Diffkit.run("prune", exact, "--density", "0.1", "-o", made), "create --add")
      #expect(try fixture.folder.names == Fixture.names)
    }
  }

  @Test("compose makes one exact diff of a chain")
  func composing() throws {
    try Fixture.with { fixture in
      try fixture.change("tuned.h5", "third.h5", ["model/kernel:0": -3])
      func create(_ from: String, _ to: String, _ name: String, _ flags: String...) throws {
        expectSuccess(
          Answer(
            try ChildProcess.run(
              Diffkit.path,
              ["create", fixture(from), fixture(to), "-o", fixture(name)] + flags)))
      }
      try create("tuned.h5", "third.h5", "next.diff")
      try create("tuned.h5", "third.h5", "new.diff", "--replace")
      let (made, result) = (fixture("made.diff"), fixture("result.h5"))
      expectSuccess(
        try Diffkit.run("compose", fixture("exact.diff"), fixture("next.diff"), "-o", made),
        "2 tensors, out of 2 diffs")
      expectSuccess(try Diffkit.run("apply", fixture("base.h5"), made, "-o", result))
      #expect(try fixture.sameTensors("result.h5", "third.h5"))
      // With the base, any chain is composed, and nothing else is left.
      let before = try fixture.folder.names
      expectSuccess(
        try Diffkit.run(
          "compose", fixture("exact.diff"), fixture("new.diff"), "-o", made, "--force", "--base",
          fixture("base.h5")))
      #expect(try fixture.folder.names == before)
      expectSuccess(try Diffkit.run("inspect", made), "diffkit.compose.parent.2")
      // But not with the result of the first diff as the base.
      expectTrouble(
        try Diffkit.run(
          "compose", fixture("exact.diff"), fixture("next.diff"), "-o", made, "--force", "--base",
          fixture("tuned.h5")), fixture("tuned.h5"), "its result")
      #expect(try fixture.folder.names == before)
      expectSuccess(try Diffkit.run("apply", fixture("base.h5"), made, "-o", result, "--force"))
      #expect(try fixture.sameTensors("result.h5", "third.h5"))
    }
  }

  @Test("a diff is converted to other formats and back")
  func converting() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      for name in ["a.npz", "a.h5"] {
        expectSuccess(try Diffkit.run("convert", add, fixture(name)), "2 changes in 2 tensors")
        expectTrouble(try Diffkit.run("convert", fixture(name), made), "--base")
        expectSuccess(
          try Diffkit.run("convert", fixture(name), made, "--base", fixture("base.h5"), "--force"),
          "2 changes in 2 tensors")
        let (one, other) = (try DiffReader(add), try DiffReader(made))
        let (a, b) = (try one.contents().tensors, try other.contents().tensors)
        #expect(a.map(\.streams) == b.map(\.streams))
        #expect(one.map(\.base) == other.map(\.base))
      }
      expectSuccess(
        try Diffkit.run("convert", add, fixture("s.npz"), "--to", "sft-npz"), "sft-npz")
      expectSuccess(
        try Diffkit.run("convert", add, fixture("wide.diff"), "--values", "f32"), "diff")
      #expect(try DiffReader(fixture("wide.diff")).allSatisfy { $0.valueWidth == 4 })
      expectTrouble(try Diffkit.run("convert", add, fixture("x")), "--to")
      expectTrouble(try Diffkit.run("convert", fixture("exact.diff"), fixture("e.npz")), "exact")
    }
  }

  @Test("prune, scale and extract")
  func pruning() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      expectSuccess(
        try Diffkit.run("prune", add, "--threshold", "1e9", "-o", made), "0 of 2 changes kept")
      expectSuccess(
        try Diffkit.run(
          "extract", fixture("exact.diff"), "--tensors", "model.k*", "-o", made, "--force"),
        "1 of 2 tensors")
      #expect(try DiffReader(made).map(\.name) == ["model/kernel:0"])
      expectTrouble(
        try Diffkit.run("extract", add, "--tensors", "model/kernal:0", "-o", made, "--force"),
        "no tensor", "kernel:0")
    }
  }

  @Test(
    "options that a method ignores are refused",
    arguments: [
      ["--seed", "1"], ["--gamma", "0.1"], ["--epsilon", "0.1"], ["--variant", "peft"],
      ["--ram-r", "1"], ["--ram-alpha", "1"], ["--rescale", "none"],
    ])
  func inapplicableOptions(options: [String]) throws {
    try Fixture.with { fixture in
      let answer = Answer(
        try .run(
          Diffkit.path, ["merge", fixture("add.diff"), "-o", fixture("made.diff")] + options))
      expectTrouble(answer, options[0], "'sum'")
    }
  }

  @Test("a density of sparse diffs needs --density-of, and both meanings are explained")
  func densityOf() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      for method in ["ties", "dare-linear", "della", "breadcrumbs", "sce"] {
        expectTrouble(
          try Diffkit.run("merge", add, add, "--method", method, "--density", "0.5", "-o", made),
          "--density-of elements", "--density-of nonzeros", add)
      }
      expectTrouble(
        try Diffkit.run("merge", add, add, "--method", "ties", "--densities", "0.5,1", "-o", made),
        "--density-of elements")
      // For densities 0 and 1, both meanings are the same.
      expectSuccess(
        try Diffkit.run("merge", add, add, "--method", "ties", "--density", "1", "-o", made))
      expectSuccess(
        try Diffkit.run(
          "merge", add, add, "--method", "ties", "--densities", "0.5, 1", "--density-of",
          "nonzeros",
          "--variant", "mergekit", "-o", made, "--force"))
      expectTrouble(
        try Diffkit.run("merge", add, add, "--densities", "0.5,1", "-o", made), "--densities")
    }
  }

  @Test("names of methods and lists of numbers are accepted as other tools write them")
  func spellings() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      for (name, method) in [
        ("linear", "average"), ("model_stock", "model-stock"), ("task_arithmetic", "sum"),
        ("ram_plus", "ram-plus"),
      ] {
        expectSuccess(
          try Diffkit.run("merge", add, add, "--method", name, "-o", made, "--force"),
          "(\(method))")
      }
      expectSuccess(
        try Diffkit.run("merge", add, add, "--weights", "1, -0.5", "-o", made, "--force"))
      expectTrouble(
        try Diffkit.run("merge", add, add, "--weights", "1,x", "-o", made, "--force"), "1,x",
        "--weights")
    }
  }

  @Test("weights are given by tensor names")
  func patterns() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      func merge(_ weights: String...) throws -> Answer {
        Answer(
          try .run(
            Diffkit.path,
            ["merge", add, add, "-o", made, "--force"] + weights.flatMap { ["--weights", $0] }))
      }
      // The fixture's 1.5 and 2, twice; with these weights one is halved and the other is zero.
      expectSuccess(try merge("model.kernel*=0.25", "*=0,0"), "1 change")
      let kernel = try #require(try DiffReader(made).first)
      #expect(try DiffReader(made).map(\.name) == ["model/kernel:0"])
      #expect(kernel.count == 1)
      expectSuccess(try Diffkit.run("inspect", made), "diffkit.merge.weights", "model.kernel*=0.25")
      expectTrouble(try merge("model.kernal:0=1"), "matches no tensor", "model/kernel:0")
      expectTrouble(try merge("model*=1,2,3"), "3 numbers for 2 diffs")
      expectTrouble(try merge("model.5-2=1"), "range")
    }
  }

  @Test("an empty result and losses are reported; --strict refuses losses")
  func losses() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      expectSuccess(
        try Diffkit.run("merge", add, add, "--weights", "1,-1", "-o", made),
        "2 changes cancelled", "nothing is left")
      expectTrouble(
        try Diffkit.run("merge", add, add, "--weights", "1,-1", "-o", made, "--force", "--strict"),
        "2 cancel", "--strict")
      let part = fixture("part.diff")
      expectSuccess(try Diffkit.run("extract", add, "--tensors", "model/big", "-o", part))
      let other = fixture("other.diff")
      expectSuccess(try Diffkit.run("extract", add, "--except", "model/big", "-o", other))
      expectSuccess(
        try Diffkit.run("merge", part, other, "-o", made, "--force"),
        "part.diff changes no tensor that another diff changes", "other.diff changes no tensor")
      expectTrouble(
        try Diffkit.run(
          "merge", add, add, add, "--method", "average", "--weights", "0.1,0.2,-0.3", "-o", made,
          "--force"), "the weights sum to")
    }
  }

  @Test("help names types and defaults, and an unknown option is refused")
  func helps() throws {
    for command in ["merge", "convert"] {
      let help = try Diffkit.run(command, "--help")
      #expect(!help.output.contains("default: 0)") && !help.output.contains("f16  "))
      expectSuccess(help, "f16")
    }
    let answer = try Diffkit.run("extract", "x.diff", "--exclude", "y")
    #expect(answer.code == 2)
    #expect(answer.errors.contains("--exclude"))
  }

  @Test("a tensor that grew is refused with a remedy that works")
  func grown() throws {
    try Fixture.with { fixture in
      try fixture.make("a", [MemoryTensor("w", .f32, littleEndian([1, 2] as [Float]))])
      try fixture.make("b", [MemoryTensor("w", .f32, littleEndian([1, 2, 3] as [Float]))])
      let made = fixture("grown.diff")
      expectSuccess(try Diffkit.run("create", fixture("a"), fixture("b"), "--add", "-o", made))
      expectTrouble(
        try Diffkit.run("merge", made, made, "-o", fixture("m.diff")), "changes its shape",
        "--base", "--rows", "extract --except")
    }
  }

  @Test("options that nothing uses are refused")
  func unused() throws {
    try Fixture.with { fixture in
      let (add, made) = (fixture("add.diff"), fixture("made.diff"))
      for (options, words) in [
        (["--tune-budget", "20"], "needs --tune"), (["--config", "x"], "needs --tune"),
        (["--vocab", "x"], "needs --tune"), (["--tune-densities"], "needs --tune"),
        (["--base", fixture("base.h5")], "no diff changes the number of rows"),
        (["--base", fixture("base.h5"), "--rows", "first"], "no diff changes the number of rows"),
        (["--method", "ties", "--density-of", "nonzeros"], "needs a density"),
        (["--method", "sce", "--weights", "1,2"], "computes its own weights"),
      ] {
        let answer = Answer(try .run(Diffkit.path, ["merge", add, add, "-o", made] + options))
        expectTrouble(answer, words)
      }
      #expect(!fixture.folder.exists("made.diff"))
    }
  }

  /// The numbers of a tensor of a base of zeros after a merge with these options.
  private func applied(
    _ fixture: Fixture, _ tensor: TensorName, _ diffs: [String], _ options: [String]
  ) throws -> [Float] {
    let made = fixture("made.diff")
    expectSuccess(
      Answer(try .run(Diffkit.path, ["merge"] + diffs + ["-o", made, "--force"] + options)))
    expectSuccess(
      try Diffkit.run("apply", fixture("zero"), made, "-o", fixture("made"), "--force"))
    let bytes = try fixture.bytes(of: tensor, "made")
    return stride(from: 0, to: bytes.count, by: 4).map {
      Float(bitPattern: bytes.span.littleEndian(at: $0))
    }
  }

  @Test("weights for a range of layers, and with and without normalization")
  func ranges() throws {
    try Fixture.with { fixture in
      let names = (0..<4).map { "layer.\($0).w" }
      func tensors(_ value: Float) -> [MemoryTensor] {
        names.map { MemoryTensor(TensorName($0), .f32, littleEndian([value, 0])) }
      }
      try fixture.make("zero", tensors(0))
      for (name, value) in [("a", 1), ("b", 2)] as [(String, Float)] {
        try fixture.make(name, tensors(value))
        expectSuccess(
          try Diffkit.run(
            "create", fixture("zero"), fixture(name), "--add", "-o", fixture(name + ".diff")))
      }
      let diffs = [fixture("a.diff"), fixture("b.diff")]
      let weights = ["--weights", "layer.1-2.*=0.5,0.25", "--weights", "1,1"]
      let sums = try names.map { try applied(fixture, TensorName($0), diffs, weights)[0] }
      #expect(sums == [3, 1, 1, 3])
      let normal = try applied(
        fixture, "layer.0.w", diffs, ["--weights", "1,3", "--normalize"])
      #expect(normal[0] == 1.75)
      let elected = ["--method", "ties", "--variant", "mergekit", "--weights", "1,3"]
      #expect(try applied(fixture, "layer.0.w", diffs, elected)[0] == 1.75)
      #expect(try applied(fixture, "layer.0.w", diffs, elected + ["--no-normalize"])[0] == 7)
      // A weight of 0 leaves a diff out of a method that computes its own weights.
      #expect(
        try applied(fixture, "layer.0.w", diffs, ["--method", "sce", "--weights", "0,1"])[0] == 2)
      let parents = try DiffReader(fixture("made.diff")).metadata.values
      #expect(parents.contains { $0.hasSuffix(" 0.0 a.diff") })
      expectSuccess(
        try Diffkit.run(
          "merge", diffs[0], diffs[1], "--method", "ties", "--densities", "0.5,0.25",
          "--density-of", "nonzeros", "-o", fixture("made.diff"), "--force"))
      let metadata = try DiffReader(fixture("made.diff")).metadata
      let isFirst = metadata["diffkit.merge.parent.1"]?.hasSuffix(" a.diff") == true
      #expect(metadata["diffkit.merge.density"] == (isFirst ? "0.5,0.25" : "0.25,0.5"))
    }
  }

  @Test("rows of a diff are chosen by its name, with weights for the tensor")
  func rows() throws {
    try Fixture.with { fixture in
      func table(_ values: [Float]) throws -> [MemoryTensor] {
        let shape = try #require(Shape([UInt64(values.count / 2), 2]))
        return [MemoryTensor("words", .f32, shape, littleEndian(values))]
      }
      try fixture.make("zero", table([0, 0]))
      try fixture.make("a", table([1, 0, 5, 5]))
      try fixture.make("b", table([0, 2, 6, 6]))
      for name in ["a", "b"] {
        expectSuccess(
          try Diffkit.run(
            "create", fixture("zero"), fixture(name), "--add", "-o", fixture(name + ".diff")))
      }
      let options = ["--base", fixture("zero"), "--rows", "b", "--weights", "words=1,0.5"]
      let diffs = [fixture("a.diff"), fixture("b.diff")]
      #expect(try applied(fixture, "words", diffs, options) == [1, 1, 6, 6])
    }
  }
}
