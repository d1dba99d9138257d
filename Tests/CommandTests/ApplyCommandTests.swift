import Checkpoints
import DiffOperations
import Testing
import TestSupport

@Suite struct ApplyCommandTests {
  @Test("apply and revert say what they wrote, and write it")
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

  @Test("what is done already is said, and nothing is written")
  func twice() throws {
    try Fixture.with { files in
      for (command, source) in [("apply", "tuned.h5"), ("revert", "base.h5")] {
        let answer = try Diffkit.run(
          command, files(source), files("exact.diff"), "-o", files("no.h5"))
        expectSuccess(answer, "already", "nothing written")
      }
      let names = try files.folder.names
      #expect(names == Fixture.names)
    }
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

  @Test("without -o the output is named after base and diffs, beside the base")
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

  @Test("an existing output stays without --force, and is replaced with it")
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

  @Test("the base itself may be the output, with --force, and an undo takes it back")
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

  @Test("a wrong base is told by path and tensor, and nothing is written")
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

  @Test("an undo file that is the output is refused, before anything is written")
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

  @Test("additions cannot be reverted, and are said to be")
  func revertAdd() throws {
    try Fixture.with { files in
      let answer = try Diffkit.run("revert", files("tuned.h5"), files("add.diff"))
      expectTrouble(answer, files("add.diff"), "tensor ", "--undo")
      let names = try files.folder.names
      #expect(names == Fixture.names)
    }
  }

  @Test(
    "arguments that are missing or wrong are usage errors",
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
    "outputs have the permissions of the base that the umask leaves; what is replaced keeps its own"
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
