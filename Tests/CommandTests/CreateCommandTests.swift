import DiffFormat
import TensorCore
import Testing
import TestSupport

@Suite struct CreateCommandTests {
  @Test("create reports the diff, which is the same as the library's")
  func exact() throws {
    try Fixture.with { files in
      let answer = try Diffkit.run(
        "create", files("base.h5"), files("tuned.h5"), "-o", files("new.diff"), "--meta",
        "task=example")
      expectSuccess(answer, "new.diff: ", "2 changes", "in 2 of ")
      #expect(try files.bytes("new.diff") == files.bytes("exact.diff"))
    }
  }

  @Test("--replace, --add and --profile make different diffs")
  func modes() throws {
    try Fixture.with { files in
      for (flags, operation) in [
        (["--replace"], "replace"), (["--add"], "add"), (["--profile", "speed"], "xor"),
        (["--add", "--density", "0.01"], "add"), (["--add", "--threshold", "1.5"], "add"),
      ] {
        let path = files(flags.joined() + ".diff")
        let child = Answer(
          try .run(
            Diffkit.path,
            ["create", files("base.h5"), files("tuned.h5"), "-o", path, "--skip-nonfloat"]
              .filter { $0 != "--skip-nonfloat" || flags.contains("--add") } + flags))
        expectSuccess(child, path)
        #expect(try DiffReader(path).allSatisfy { $0.operation.name == operation })
      }
    }
  }

  @Test("metadata is stored, values may hold '='")
  func metadata() throws {
    try Fixture.with { files in
      let answer = try Diffkit.run(
        "create", files("base.h5"), files("tuned.h5"), "-o", files("m.diff"), "--meta", "a=b=c",
        "--meta", "empty=", "-q")
      expectSuccess(answer)
      #expect(answer.output == "")
      #expect(try DiffReader(files("m.diff")).metadata == ["a": "b=c", "empty": ""])
    }
  }

  @Test("without -o, the diff is named after the tuned checkpoint, in the working folder")
  func derivedName() throws {
    try Fixture.with { files in
      let answer = try Diffkit.run(in: files.folder.path, "create", "base.h5", "tuned.h5")
      expectSuccess(answer, "tuned.diff: ")
      let names = try files.folder.names
      #expect(names == (Fixture.names + ["tuned.diff"]).sorted())
    }
  }

  @Test("an existing diff is kept without --force, and replaced with it")
  func force() throws {
    try Fixture.with { files in
      let before = try files.bytes("add.diff")
      let arguments = ["create", files("base.h5"), files("tuned.h5"), "-o", files("add.diff")]
      expectTrouble(Answer(try .run(Diffkit.path, arguments)), files("add.diff"), "exists")
      #expect(try files.bytes("add.diff") == before)
      expectSuccess(Answer(try .run(Diffkit.path, arguments + ["--force"])))
      #expect(try files.bytes("add.diff") != before)
    }
  }

  @Test(
    "options that contradict each other are usage errors",
    arguments: [
      ["--density", "0.1"], ["--threshold", "1"], ["--skip-nonfloat"], ["--strict"],
      ["--add", "--replace"],
      ["--add", "--density", "0"], ["--add", "--density", "1.5"], ["--add", "--density", "nan"],
      ["--add", "--density", "0.1", "--threshold", "1"], ["--add", "--threshold", "0"],
      ["--add", "--threshold", "inf"], ["--meta", "novalue"], ["--meta", "=x"],
      ["--profile", "no"],
      ["--nonsense"], ["extra"],
    ])
  func usage(flags: [String]) throws {
    try Fixture.with { files in
      let answer = Answer(
        try .run(
          Diffkit.path,
          ["create", files("base.h5"), files("tuned.h5"), "-o", files("new.diff")] + flags))
      #expect(answer.code == 2)
      #expect(answer.output == "")
      #expect(answer.errors.contains("Usage: diffkit create"))
      #expect(!files.folder.exists("new.diff"))
    }
  }

  @Test("an invalid key is an error, and leaves no diff", arguments: ["a b=c", "\u{E9}=c"])
  func metadataKeys(text: String) throws {
    try Fixture.with { files in
      let answer = try Diffkit.run(
        "create", files("base.h5"), files("tuned.h5"), "-o", files("new.diff"), "--meta", text)
      #expect(answer.code == 2)
      #expect(answer.output == "")
      #expect(!files.folder.exists("new.diff"))
    }
  }

  @Test("a name that no diff can hold is refused with its file")
  func emptyName() throws {
    try Fixture.with { files in
      let bytes = littleEndian([1, 2] as [Float])
      let (w, empty) = (MemoryTensor("w", .f32, bytes), MemoryTensor("", .f32, bytes))
      try files.make("plain", [w])
      try files.make("empty", [empty, w])
      for (base, tuned) in [("plain", "empty"), ("empty", "plain")] {
        expectTrouble(
          try Diffkit.run("create", files(base), files(tuned), "-o", files("no.diff")),
          "diffkit: \(files("empty")): tensor '': a name must have")
      }
      expectTrouble(try Diffkit.run("inspect", ""), "diffkit: '': cannot open")
      #expect(!files.folder.exists("no.diff"))
    }
  }

  @Test("additions that lose something are counted, and refused where that is asked for")
  func losses() throws {
    try Fixture.with { files in
      func halves(_ name: TensorName, _ bits: [UInt16]) -> MemoryTensor {
        MemoryTensor(name, .f16, littleEndian(bits))
      }
      func floats(_ values: [Float]) -> MemoryTensor {
        MemoryTensor("f", .f32, littleEndian(values))
      }
      // The second change is too small beside the first for a float16 of the same scale.
      try files.make("b", [floats([0, 0, 0])])
      try files.make("t", [floats([65536, 1e-12, 1])])
      let create = ["create", files("b"), files("t"), "--add", "-o", files("d"), "--force"]
      expectSuccess(try Diffkit.run(create), "2 changes", "1 change rounded to zero and left out")
      #expect(try DiffReader(files("d"))[0].count == 2)
      expectTrouble(
        try Diffkit.run(create + ["--strict"]), files("t"), "1 are rounded to zero",
        "nothing was written", "without --strict")
      try files.make("same", [floats([1, 0, 0])])
      expectSuccess(
        try Diffkit.run(
          "create", files("b"), files("same"), "--add", "--strict", "-o", files("s")))
      // −1024 … 65504 is 66528 away, which rounds to 66560: infinite in float16.
      try files.make("hb", [halves("h", [0xE400])])
      try files.make("ht", [halves("h", [0x7BFF])])
      let infinite = ["create", files("hb"), files("ht"), "--add", "-o", files("i")]
      expectTrouble(try Diffkit.run(infinite + ["--strict"]), "1 become infinite")
      expectSuccess(try Diffkit.run(infinite), "1 element will become infinite")
    }
  }

  @Test("checkpoints that have no tensor in common are refused")
  func nothingInCommon() throws {
    try Fixture.with { files in
      let bytes = littleEndian([1, 2] as [Float])
      try files.make("base", [MemoryTensor("encoder.w", .f32, bytes)])
      try files.make("prefixed", [MemoryTensor("module.encoder.w", .f32, bytes)])
      try files.make("adapter", [MemoryTensor("lora", .f32, littleEndian([1] as [Float]))])
      for (tuned, words) in [
        ("prefixed", "'module.encoder.w' is; give --map"), ("adapter", "a whole checkpoint"),
      ] {
        expectTrouble(
          try Diffkit.run("create", files("base"), files(tuned), "-o", files("no.diff")),
          files(tuned), "tensor 'encoder.w'", words)
      }
      #expect(!files.folder.exists("no.diff"))
    }
  }

  @Test("elements that a rounded change makes infinite are counted, by create and by apply")
  func infinite() throws {
    try Fixture.with { files in
      // The change of 65520 is stored as 65536.
      try files.make("base", [MemoryTensor("w", .f16, halves([-16, 1]))])
      try files.make("tuned", [MemoryTensor("w", .f16, halves([65504, 1]))])
      let diff = files("d.diff")
      expectSuccess(
        try Diffkit.run("create", files("base"), files("tuned"), "--add", "-o", diff),
        "\n1 element will become infinite\n")
      expectSuccess(
        try Diffkit.run("apply", files("base"), diff, "-o", files("out")),
        "\n1 element became infinite\n")
      #expect(try files.bytes(of: "w", "out") == halves([.infinity, 1]))
    }
  }

  private func halves(_ values: [Float16]) -> [UInt8] { littleEndian(values.map(\.bitPattern)) }

  @Test("of pairs that may be the same tensor, three are shown and the others counted")
  func alike() throws {
    try Fixture.with { files in
      func model(_ suffix: String) -> [MemoryTensor] {
        [MemoryTensor("common", .f32, littleEndian([1] as [Float]))]
          + (2...6).map {
            MemoryTensor(
              TensorName("layer\($0)/kernel\(suffix)"), .f32,
              littleEndian([Float](repeating: 1, count: $0)))
          }
      }
      try files.make("base", model(""))
      try files.make("tuned", model("_1"))
      let answer = try Diffkit.run("create", files("base"), files("tuned"), "-o", files("d.diff"))
      expectSuccess(answer, "and 2 more such pairs\n")
      #expect(answer.output.split(separator: "perhaps the same tensor: ").count == 4)
    }
  }

  @Test("a diff of inserted or deleted tensors only is reported as such, not as without changes")
  func wholeAlone() throws {
    try Fixture.with { files in
      let one = MemoryTensor("a", .f32, littleEndian([1] as [Float]))
      let head = MemoryTensor("head", .f32, littleEndian([2] as [Float]))
      try files.make("base", [one])
      try files.make("tuned", [one, head])
      for (base, tuned) in [("base", "tuned"), ("tuned", "base")] {
        let answer = try Diffkit.run(
          "create", files(base), files(tuned), "-o", files("d.diff"), "--force")
        expectSuccess(answer, ", 1 whole tensor in 1 of 2 tensors\n")
        #expect(!answer.output.contains("0 changes"))
      }
    }
  }

  @Test("verify counts the tensors that differ, and lists ten")
  func manyDiffer() throws {
    try Fixture.with { files in
      func model(_ prefix: String, _ value: Float) -> [MemoryTensor] {
        (10..<48).map {
          MemoryTensor(TensorName("\(prefix)t\($0)"), .f32, littleEndian([value]))
        }
      }
      try files.make("0", model("", 0))
      try files.make("1", model("", 1))
      try files.make("2", model("", 2))
      try files.make("other", model("x.", 0))
      expectSuccess(try Diffkit.run("create", files("0"), files("1"), "-o", files("d.diff")))
      for checkpoint in ["2", "other"] {
        let answer = try Diffkit.run("verify", files("d.diff"), files(checkpoint))
        #expect(answer.code == 1)
        #expect(answer.output.contains("differs: t19\n  and 28 more tensors\n"))
        let json = try Diffkit.run("verify", files("d.diff"), files(checkpoint), "--json")
        #expect(json.output.contains("\"differingCount\" : 38"))
      }
    }
  }
}
