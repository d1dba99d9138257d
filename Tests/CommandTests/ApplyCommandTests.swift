import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct ApplyCommandTests {
  @Test("apply and revert write the output and report it")
  func roundTrip() throws {
    try Fixture.with { files in
      let applied = try Diffkit.run(
        "apply", files("base.h5"), files("exact.diff"), "-o", files("out.h5"))
      expectSuccess(applied, "out.h5: written, 2 tensors changed")
      #expect(try files.sameTensors("out.h5", "tuned.h5"))
      let reverted = try Diffkit.run(
        "revert", files("out.h5"), files("exact.diff"), "-o", files("back.h5"))
      expectSuccess(reverted, "back.h5: written, 2 tensors changed")
      #expect(try files.sameTensors("back.h5", "base.h5"))
    }
  }

  @Test("a diff that is already applied is reported, and nothing is written without -o")
  func twice() throws {
    try Fixture.with { files in
      for (command, source) in [("apply", "tuned.h5"), ("revert", "base.h5")] {
        let answer = try Diffkit.run(command, files(source), files("exact.diff"))
        expectSuccess(answer, "already", "nothing written")
      }
      let names = try files.folder.names
      #expect(names == Fixture.names)
    }
  }

  @Test("with -o, a result is copied, over an old file too, and an undo is written")
  func copied() throws {
    try Fixture.with { files in
      try write([1], toFile: files("out.h5"))
      let (exact, out, undo) = (files("exact.diff"), files("out.h5"), files("undo.diff"))
      expectTrouble(
        try Diffkit.run("apply", files("tuned.h5"), exact, "-o", out), "out.h5", "exists")
      expectSuccess(
        try Diffkit.run(
          "apply", files("tuned.h5"), exact, "-o", out, "--force", "--undo", undo),
        "tuned.h5: already applied, ", "out.h5 is a copy", "undo.diff has no changes")
      #expect(try files.bytes("out.h5") == files.bytes("tuned.h5"))
      #expect(try DiffReader(undo).count == 0)
      expectSuccess(
        try Diffkit.run("revert", files("base.h5"), exact, "-o", files("back.h5")), "is a copy")
      #expect(try files.bytes("back.h5") == files.bytes("base.h5"))
    }
  }

  @Test("to revert an undo file does nothing, and what was meant is said")
  func revertedUndo() throws {
    try Fixture.with { files in
      let (tuned, undo) = (files("made.h5"), files("undo.diff"))
      expectSuccess(
        try Diffkit.run(
          "apply", files("base.h5"), files("exact.diff"), "-o", tuned, "--undo", undo))
      expectSuccess(
        try Diffkit.run("revert", tuned, undo), "already reverted", "undo.diff undoes", "apply it")
      expectSuccess(try Diffkit.run("apply", tuned, undo, "-o", files("back.h5")))
      #expect(try files.sameTensors("back.h5", "base.h5"))
    }
  }

  @Test("a chain is refused on a checkpoint that is at one of its links, which is named")
  func link() throws {
    try Fixture.with { files in
      for (name, number) in [("s0", 0), ("s1", 1), ("s2", 2), ("s3", 3)] as [(String, Float)] {
        // Every second step changes one tensor only.
        let other: Float = number < 2 ? 0 : 2
        try files.make(name, [floats("v", [number, 1, 2]), floats("w", [other, 3])])
      }
      let chain = (1...3).map { files("d\($0).diff") }
      for step in 0..<3 {
        expectSuccess(
          try Diffkit.run("create", files("s\(step)"), files("s\(step + 1)"), "-o", chain[step]))
      }
      for (command, state, words) in [
        ("apply", "s1", "result of '\(chain[0])' already; give only the diffs after it"),
        ("apply", "s2", "result of '\(chain[1])' already"),
        ("revert", "s1", "base of '\(chain[1])' already; give only the diffs before it"),
      ] {
        let answer = try Diffkit.run(
          command, files(state), chain[0], chain[1], chain[2], "-o", files("out"))
        expectTrouble(answer, files(state), words)
      }
      #expect(!files.folder.exists("out"))
    }
  }

  @Test("a diff that deletes a tensor that the base lacks is refused, and the base is named")
  func deletesMissing() throws {
    try Fixture.with { files in
      let (w, ids) = (floats("w", [1, 2, 3]), floats("ids", [0]))
      // The deleted tensor is the smallest one, or not.
      for (name, other) in [("small", floats("x", [5, 6])), ("large", floats("x", []))] {
        let changed = floats("w", [1, 2, 4])
        try files.make(name + "-base", [w, ids, other])
        try files.make(name + "-tuned", [changed, other])
        try files.make(name + "-new", [w, other])
        let made = files(name + ".diff")
        expectSuccess(
          try Diffkit.run("create", files(name + "-base"), files(name + "-tuned"), "-o", made),
          "1 change (", "and 1 whole tensor")
        expectTrouble(
          try Diffkit.run("apply", files(name + "-new"), made, "-o", files("out")),
          files(name + "-new"), "tensor 'ids'", "is missing though the diff deletes it",
          "extract --except")
      }
      #expect(!files.folder.exists("out"))
    }
  }

  @Test("elements that additions make infinite are counted")
  func overflow() throws {
    try Fixture.with { files in
      func halves(_ values: [Float]) -> MemoryTensor {
        MemoryTensor("w", .f16, values.flatMap { littleEndian([UInt16(Self.bits($0))]) })
      }
      try files.make("zero", [halves([0, 0, 0, 1])])
      try files.make("big", [halves([60000, -60000, 3, 1])])
      let (one, other, both) = (files("1.diff"), files("2.diff"), files("both.diff"))
      for path in [one, other] {
        expectSuccess(
          try Diffkit.run("create", files("zero"), files("big"), "--add", "-o", path))
      }
      expectSuccess(
        try Diffkit.run("merge", one, other, "-o", both), "2 changes beyond the range")
      for arguments in [[both], [one, other]] {
        let answer = Answer(
          try .run(
            Diffkit.path, ["apply", files("zero")] + arguments + ["-o", files("out"), "--force"]))
        expectSuccess(answer, "1 tensor changed", "2 elements became infinite")
      }
      let quiet = try Diffkit.run("apply", files("zero"), one, "-o", files("fine"))
      #expect(!quiet.output.contains("infinite"))
    }
  }

  @Test("additions that are given twice are noted")
  func repeated() throws {
    try Fixture.with { files in
      let (base, add, out) = (files("base.h5"), files("add.diff"), files("out.h5"))
      try write(contents(ofFile: add), toFile: files("copy.diff"))
      let note = "hold the same additions, which count 2 times"
      for second in [add, files("copy.diff")] {
        expectSuccess(
          try Diffkit.run("apply", base, add, second, "-o", out, "--force"),
          "note: '\(add)' and '\(second)' \(note)")
      }
      let once = try Diffkit.run("apply", base, add, "-o", out, "--force")
      #expect(!once.output.contains("note"))
      expectSuccess(
        try Diffkit.run("merge", add, add, "-o", files("m.diff")), "'\(add)' and '\(add)' \(note)")
    }
  }

  private static func bits(_ value: Float) -> UInt64 { FloatOracle.narrowed(Double(value), .f16) }

  private func floats(_ name: TensorName, _ values: [Float]) -> MemoryTensor {
    MemoryTensor(name, .f32, littleEndian(values))
  }

  @Test("--quiet prints nothing")
  func quiet() throws {
    try Fixture.with { files in
      for flag in ["-q", "--quiet"] {
        for (command, source) in [("apply", "base.h5"), ("revert", "tuned.h5")] {
          let answer = try Diffkit.run(
            command, files(source), files("exact.diff"), "-o", files("out.h5"), flag, "--force")
          #expect((answer.code, answer.output, answer.errors) == (0, "", ""))
        }
      }
    }
  }

  @Test("without -o, the output is named after base and diffs, in the folder of the base")
  func derivedNames() throws {
    try Fixture.with { files in
      expectSuccess(try Diffkit.run("apply", files("base.h5"), files("exact.diff")))
      expectSuccess(try Diffkit.run("revert", files("tuned.h5"), files("exact.diff")))
      expectSuccess(try Diffkit.run(in: files.folder.path, "apply", "base.h5", "add.diff"))
      let names = try files.folder.names
      let made = ["base.add.h5", "base.exact.h5", "tuned.reverted.h5"]
      #expect(names == (Fixture.names + made).sorted())
      #expect(try files.sameTensors("base.exact.h5", "tuned.h5"))
    }
  }

  @Test("an existing output is kept without --force, and replaced with it")
  func force() throws {
    try Fixture.with { files in
      let before = try files.bytes("tuned.h5")
      for output in ["tuned.h5", "base.h5"] {
        let answer = try Diffkit.run(
          "apply", files("base.h5"), files("exact.diff"), "-o", files(output))
        expectTrouble(answer, files(output), "exists", "--force")
      }
      #expect(try files.bytes("tuned.h5") == before)
      try write([1], toFile: files("old"))
      let answer = try Diffkit.run(
        "apply", files("base.h5"), files("exact.diff"), "-o", files("old"), "--force")
      expectSuccess(answer)
      #expect(try files.sameTensors("old", "tuned.h5"))
    }
  }

  @Test("with --force, the output may be the base itself, and an undo restores it")
  func inPlace() throws {
    try Fixture.with { files in
      let answer = try Diffkit.run(
        "apply", files("base.h5"), files("add.diff"), "-o", files("base.h5"), "--force", "--undo",
        files("undo.diff"))
      expectSuccess(answer)
      #expect(try files.sameTensors("base.h5", "tuned.h5"))
      expectSuccess(
        try Diffkit.run("apply", files("base.h5"), files("undo.diff"), "-o", files("back.h5")))
      #expect(try !files.sameTensors("back.h5", "tuned.h5"))
      #expect(
        try Diffkit.run("verify", files("add.diff"), files("back.h5")).output.contains("base"))
    }
  }

  @Test("a wrong base is reported with path and tensor, and nothing is written")
  func wrongBase() throws {
    try Fixture.with { files in
      try files.change("base.h5", "other.h5", ["model/kernel:0": 77])
      for command in ["apply", "revert"] {
        for flags in [["--verify", "full"], ["--verify", "touched"]] {
          let answer = Answer(
            try .run(
              Diffkit.path,
              [command, files("other.h5"), files("exact.diff"), "-o", files("no.h5")] + flags))
          expectTrouble(answer, files("other.h5"), "tensor ")
        }
      }
      let refused = try Diffkit.run(
        "apply", files("other.h5"), files("add.diff"), "-o", files("no.h5"))
      expectTrouble(refused, files("other.h5"), "tensor 'model/kernel:0'", "--allow-other-base")
      #expect(!files.folder.exists("no.h5"))
      expectSuccess(
        try Diffkit.run(
          "apply", files("other.h5"), files("add.diff"), "-o", files("yes.h5"),
          "--allow-other-base"))
    }
  }

  @Test("an undo file that is the output is refused before anything is written")
  func undoIsOutput() throws {
    try Fixture.with { files in
      for flags in [[], ["--force"]] {
        let answer = Answer(
          try .run(
            Diffkit.path,
            [
              "apply", files("base.h5"), files("exact.diff"), "-o", files("x"), "--undo",
              files("x"),
            ] + flags))
        expectTrouble(answer, files("x"))
      }
      let names = try files.folder.names
      #expect(names == Fixture.names)
    }
  }

  @Test("additions cannot be reverted, which is reported")
  func revertAdd() throws {
    try Fixture.with { files in
      let answer = try Diffkit.run("revert", files("tuned.h5"), files("add.diff"))
      expectTrouble(answer, files("add.diff"), "tensor ", "--undo")
      let names = try files.folder.names
      #expect(names == Fixture.names)
    }
  }

  @Test(
    "missing and wrong arguments are usage errors",
    arguments: [
      ["apply"], ["apply", "base.h5"], ["revert", "base.h5"],
      ["apply", "b", "d", "--verify", "no"],
      ["revert", "b", "d", "--undo", "x"], ["apply", "b", "d", "-o"],
    ])
  func usage(arguments: [String]) throws {
    let answer = Answer(try .run(Diffkit.path, arguments))
    #expect(answer.code == 2)
    #expect(answer.output == "")
    #expect(answer.errors.contains("Usage: diffkit \(arguments[0])"))
  }

  @Test(
    "outputs have the base's permissions within the umask; a replaced file keeps its own"
  )
  func permissions() throws {
    try Fixture.with { files in
      func mode(_ name: String) throws -> String {
        let child = try ChildProcess.run("stat", ["-c", "%a", files(name)])
        return String(decoding: child.output, as: UTF8.self).filter { $0 != "\n" }
      }
      func apply(umask: String, _ arguments: String) throws {
        let command = "cd \"$1\" && umask \(umask) && \"$2\" apply base.h5 exact.diff \(arguments)"
        expectSuccess(
          Answer(try .run("sh", ["-c", command, "sh", files.folder.path, Diffkit.path])))
      }
      _ = try ChildProcess.run("chmod", ["664", files("base.h5")])
      try apply(umask: "077", "-o closed.h5")
      #expect(try mode("closed.h5") == "600")
      try apply(umask: "022", "-o open.h5")
      #expect(try mode("open.h5") == "644")
      _ = try ChildProcess.run("chmod", ["640", files("open.h5")])
      try apply(umask: "077", "-o open.h5 --force")
      #expect(try mode("open.h5") == "640")
    }
  }
}
