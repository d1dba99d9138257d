import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Dry runs of merge, apply, revert and compose: what is reported, and that nothing is written.
@Suite struct DryRunTests {
  private struct Preview: Decodable {
    struct Pair: Decodable {
      let tensor: String?
      let first, second: String
      let shared, opposite: Int
      let oppositeNorm: Double
    }

    let size, changes, opposite: Int
    let density: Double
    let pairs: [Pair]
    let clashingHeads: [String]
    let conflicts: Bool
    let notes: [String]
  }

  private struct Transfer: Decodable {
    let size: Int
    let density: Double
    let pairs: [Preview.Pair]
    let clashingHeads, notes: [String]
    let conflicts: Bool
  }

  private func run(_ arguments: [String], code: Int32) throws -> Answer {
    let answer = Answer(try .run(Diffkit.path, arguments))
    #expect((answer.code, answer.errors) == (code, ""), "\(arguments)")
    return answer
  }

  /// Makes the diff of one tensor on a base of zeros.
  private func makeDiff(
    _ fixture: Fixture, _ name: String, _ values: [Float], head: UInt8? = nil
  ) throws {
    if !fixture.folder.exists("zero") {
      try fixture.make("zero", [MemoryTensor("w", .f32, littleEndian([0, 0, 0, 0] as [Float]))])
    }
    var tensors = [MemoryTensor("w", .f32, littleEndian(values))]
    if let head { tensors.append(MemoryTensor("head", .u8, [head])) }
    try fixture.make(name + ".st", tensors)
    expectSuccess(
      try Diffkit.run(
        "create", fixture("zero"), fixture(name + ".st"), "--add", "-o", fixture(name)))
  }

  @Test("a merge reports conflicts by tensor and pair, and its size")
  func merging() throws {
    try Fixture.with { fixture in
      try makeDiff(fixture, "a", [1, 2, 0, 3], head: 1)
      try makeDiff(fixture, "b", [2, -2, 0, 0], head: 2)
      try makeDiff(fixture, "c", [0, 0, 4, 0])
      let before = try fixture.folder.names
      let diffs = ["a", "b", "c"].map { fixture($0) }
      let preview = try run(["merge"] + diffs + ["--dry-run", "--json"], code: 1)
        .json(Preview.self)
      #expect(preview.changes == 3 && preview.density == 0.75)
      #expect(preview.clashingHeads == ["head"])
      #expect(preview.pairs.count == 1)
      let pair = try #require(preview.pairs.first)
      #expect((pair.tensor, pair.shared, pair.opposite) == ("w", 2, 1))
      #expect(pair.first == diffs[0] && pair.second == diffs[1])
      // 2² + 2² of 1 + 4 + 9 + 4 + 4.
      #expect(abs(pair.oppositeNorm - (8.0 / 22).squareRoot()) < 1e-3)
      #expect(try run(["merge"] + diffs + ["--dry-run"], code: 1).output.contains("--head"))

      let free = [diffs[0], diffs[2]]
      let none = try run(["merge"] + free + ["--dry-run", "--json"], code: 0).json(Preview.self)
      #expect(!none.conflicts && none.pairs.isEmpty)
      #expect(try fixture.folder.names == before)
      expectSuccess(
        Answer(try .run(Diffkit.path, ["merge"] + free + ["-o", fixture("m.diff")])))
      #expect(try fixture.bytes("m.diff").count == none.size)
      let taken = Answer(
        try .run(Diffkit.path, ["merge"] + free + ["--dry-run", "-o", fixture("m.diff")]))
      expectTrouble(taken, "exists", "--force")
    }
  }

  @Test("apply and revert report what they would do, and what is already done")
  func applying() throws {
    try Fixture.with { fixture in
      let (base, tuned) = (fixture("base.h5"), fixture("tuned.h5"))
      let (exact, add) = (fixture("exact.diff"), fixture("add.diff"))
      expectSuccess(
        try run(["apply", base, exact, "--dry-run"], code: 0), "2 tensors would change (2 xor)")
      expectSuccess(try run(["apply", tuned, exact, "--dry-run"], code: 0), "already applied")
      expectSuccess(
        try run(["revert", tuned, exact, "--dry-run"], code: 0), "2 tensors would change")
      expectSuccess(try run(["revert", base, exact, "--dry-run"], code: 0), "already reverted")
      expectSuccess(try run(["apply", base, add, "--dry-run"], code: 0), "(2 add)")
      expectTrouble(
        try Diffkit.run("revert", tuned, add, "--dry-run"), "keeps no old values", "--undo")
      try fixture.change("base.h5", "other.h5", ["model/big": 77])
      expectTrouble(try Diffkit.run("apply", fixture("other.h5"), exact, "--dry-run"), "model/big")
      try makeDiff(fixture, "a", [1, 2, 0, 3])
      try makeDiff(fixture, "b", [2, -2, 0, 0])
      let answer = try run(
        ["apply", fixture("zero"), fixture("a"), fixture("b"), "--dry-run"], code: 1)
      #expect(answer.output.contains("1 tensor would change (1 add)"))
      #expect(!fixture.folder.exists("base-exact.h5"))
    }
  }

  @Test("compose reports what it would write")
  func composing() throws {
    try Fixture.with { fixture in
      let before = try fixture.folder.names
      expectSuccess(
        try run(["compose", fixture("exact.diff"), "--dry-run"], code: 0), "would be:", "2 changes")
      #expect(try fixture.folder.names == before)
    }
  }

  @Test("one diff of a stack is left out, exactly")
  func without() throws {
    try Fixture.with { fixture in
      try makeDiff(fixture, "a", [1, 2, 0, 3])
      try makeDiff(fixture, "b", [0.1, -2, 0, 0])
      try makeDiff(fixture, "c", [0, 0, 4, 0.3])
      let (zero, all) = (fixture("zero"), ["a", "b", "c"].map { fixture($0) })
      let (one, other) = (fixture("one"), fixture("other"))
      expectSuccess(
        Answer(
          try .run(Diffkit.path, ["apply", zero] + all + ["--without", all[1], "-o", one])))
      expectSuccess(
        try Diffkit.run("apply", zero, all[0], all[2], "-o", other))
      #expect(try fixture.bytes("one") == fixture.bytes("other"))
      expectTrouble(
        try Diffkit.run("apply", zero, all[0], "--without", all[1], "-o", one),
        "not one of the diffs")
      expectTrouble(
        try Diffkit.run("apply", zero, all[0], "--without", all[0], "-o", one), "the base itself")
    }
  }

  @Test("a dry run has the notes of the merge")
  func notes() throws {
    try Fixture.with { fixture in
      let (add, recipe) = (fixture("add.diff"), fixture("r.yml"))
      let (part, other) = (fixture("part.diff"), fixture("other.diff"))
      expectSuccess(try Diffkit.run("extract", add, "--tensors", "model/big", "-o", part))
      expectSuccess(try Diffkit.run("extract", add, "--except", "model/big", "-o", other))
      try write(
        Array(
          """
          merge_method: ties
          base_model: hub/base
          models:
            - {model: part.diff, parameters: {weight: 1, density: 0.9}}
            - {model: other.diff, parameters: {weight: 1}}
          """.utf8), toFile: recipe)
      for arguments in [[part, other], [add, add, "--weights", "1,-1"], [recipe]] {
        struct Merged: Decodable { let notes: [String] }
        let dry = Answer(
          try .run(Diffkit.path, ["merge"] + arguments + ["--dry-run", "--json"]))
        let merged = Answer(
          try .run(
            Diffkit.path, ["merge"] + arguments + ["-o", fixture("m.diff"), "--force", "--json"]))
        let notes = try merged.json(Merged.self).notes
        #expect(!notes.isEmpty)
        #expect(try dry.json(Preview.self).notes == notes)
      }
      let text = Answer(try .run(Diffkit.path, ["merge", recipe, "--dry-run"])).output
      #expect(text.contains("note: line 2: 'hub/base' does not exist here"))
      #expect(text.contains("part.diff, which is not denser"))
      let twice = try run(["apply", fixture("base.h5"), add, add, "--dry-run"], code: 0).output
      #expect(twice.contains("note: "))
    }
  }

  /// Makes two additive diffs with different heads and numbers of rows.
  private func makeGrown(_ fixture: Fixture) throws {
    func tensors(_ words: [Float], _ heads: [(String, [Float])]) throws -> [MemoryTensor] {
      let shape = try #require(Shape([UInt64(words.count / 2), 2]))
      return [
        MemoryTensor("words", .f32, shape, littleEndian(words)),
        MemoryTensor("w", .f32, littleEndian([words[0], 0])),
      ] + heads.map { MemoryTensor(TensorName($0.0), .f32, littleEndian($0.1)) }
    }
    try fixture.make("base", tensors([0, 0, 0, 0], []))
    try fixture.make(
      "a", tensors([1, 0, 0, 4, 5, 5], [("head.a", [1]), ("head.b", [1]), ("head.c", [1])]))
    try fixture.make(
      "b", tensors([-1, 0, 0, 4, 6, 6, 7, 7], [("head.a", [2]), ("head.b", [2]), ("head.c", [2])]))
    for name in ["a", "b"] {
      expectSuccess(
        try Diffkit.run(
          "create", fixture("base"), fixture(name), "--add", "-o", fixture(name + ".diff")))
    }
  }

  @Test("conflicts of shared rows are reported")
  func rows() throws {
    try Fixture.with { fixture in
      try makeGrown(fixture)
      let preview = try run(
        [
          "merge", fixture("a.diff"), fixture("b.diff"), "--base", fixture("base"), "--rows",
          "first", "--dry-run", "--json",
        ], code: 1
      ).json(Preview.self)
      #expect(preview.pairs.map(\.tensor) == ["w", "words"])
      #expect(preview.pairs.map(\.shared) == [1, 2])
      #expect(preview.pairs.map(\.opposite) == [1, 1])
      #expect(preview.clashingHeads == ["head.a", "head.b", "head.c"])
    }
  }

  @Test("apply names all tensors that clash, and a way out that works")
  func clashing() throws {
    try Fixture.with { fixture in
      try makeGrown(fixture)
      let (base, a, b) = (fixture("base"), fixture("a.diff"), fixture("b.diff"))
      let (merged, out) = (fixture("merged.diff"), fixture("out"))
      expectTrouble(
        try Diffkit.run("apply", base, a, b, "-o", out), "head.a", "becomes a new tensor [1]",
        "likewise 'head.b', 'head.c' and 1 more", "--rows first --head first -o merged.diff")
      expectSuccess(
        try Diffkit.run(
          "merge", a, b, "--base", base, "--rows", "first", "--head", "first", "-o", merged))
      expectSuccess(try Diffkit.run("apply", base, merged, "-o", out))
      let preview = try run(["apply", base, a, b, "--dry-run", "--json"], code: 1)
        .json(Transfer.self)
      #expect(preview.clashingHeads == ["head.a", "head.b", "head.c", "words"])
      #expect(preview.conflicts && preview.pairs.map(\.tensor) == ["w"])
      let one = try run(["apply", base, a, "--dry-run", "--json"], code: 0).json(Transfer.self)
      // 6 words, 2 of w, 3 heads.
      #expect(one.size == 4 * (6 + 2 + 3) && !one.conflicts && one.clashingHeads == [])
      expectSuccess(
        try Diffkit.run("apply", base, a, "--dry-run"), " of tensors", "of the elements")

      // Exact diffs cannot be merged, so the tensors are left out.
      for name in ["a", "b"] {
        expectSuccess(try Diffkit.run("create", base, fixture(name), "-o", fixture(name + ".x")))
      }
      expectTrouble(
        try Diffkit.run("apply", base, fixture("a.x"), fixture("b.x"), "-o", fixture("x")),
        "extract --except")
      // In a chain, each diff fits the result of the one before.
      expectSuccess(
        try Diffkit.run("create", fixture("a"), fixture("b"), "-o", fixture("next.diff")))
      expectTrouble(
        try Diffkit.run("apply", base, fixture("a.x"), fixture("next.diff"), "-o", fixture("x")),
        "words", "one after the other")
      expectSuccess(
        try Diffkit.run("apply", fixture("a"), fixture("next.diff"), "-o", fixture("x")))
    }
  }

  @Test("a dry run refuses what --strict refuses, and has the density of a composed diff")
  func strict() throws {
    try Fixture.with { fixture in
      for (name, bits) in [("big", [0x7BFF, 0]), ("more", [0x7BFF, 0x7BFF]), ("zero16", [0, 0])]
        as [(String, [UInt16])]
      {
        try fixture.make(name, [MemoryTensor("w", .f16, littleEndian(bits))])
      }
      expectSuccess(
        try Diffkit.run(
          "create", fixture("zero16"), fixture("more"), "--add", "-o", fixture("m.diff")))
      let arguments = [
        "apply", fixture("big"), fixture("m.diff"), "--allow-other-base", "--dry-run",
      ]
      expectSuccess(try run(arguments, code: 0), "1 element would become infinite")
      expectTrouble(
        Answer(try .run(Diffkit.path, arguments + ["--strict"])), "would become infinite")

      struct Composed: Decodable { let density: Double? }
      let composed = try run(
        ["compose", fixture("exact.diff"), "--dry-run", "--json"], code: 0
      ).json(Composed.self)
      let elements = try DiffReader(fixture("exact.diff")).reduce(0) { $0 + $1.shape.count }
      #expect(composed.density == 2 / Double(elements))
    }
  }

  @Test("one diff of a stack is left out in place, and can be undone")
  func withoutInPlace() throws {
    try Fixture.with { fixture in
      try makeDiff(fixture, "a", [1, 2, 0, 3])
      try makeDiff(fixture, "b", [0.1, -2, 0, 0])
      let (zero, undo) = (fixture("zero"), fixture("undo.diff"))
      let before = try fixture.bytes("zero")
      expectSuccess(try Diffkit.run("apply", zero, fixture("a"), "-o", fixture("one")))
      expectSuccess(
        try Diffkit.run(
          "apply", zero, fixture("a"), fixture("b"), "--without", fixture("b"), "--in-place",
          "--undo", undo))
      #expect(try fixture.bytes("zero") == fixture.bytes("one"))
      expectSuccess(try Diffkit.run("apply", zero, undo, "--in-place"))
      #expect(try fixture.bytes("zero") == before)
    }
  }
}
