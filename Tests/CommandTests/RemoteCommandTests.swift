import DiffFormat
import RemoteFiles
import SystemSupport
import Testing
import TestSupport

/// Diffs at addresses.
@Suite(.enabled(if: RemoteFile.isIncluded, "a build without the trait Network"))
struct RemoteCommandTests {
  /// Runs `body` with the fixture, whose files are served below an address, by mode.
  private func with(_ body: (Fixture, String) throws -> Void) throws {
    try Fixture.with { files in
      let script = Repository.path + "/Tests/RemoteFilesTests/servers.py"
      try LoopbackServer.with([script, files.folder.path]) { server in
        try body(files, "http://127.0.0.1:\(server.port)")
      }
    }
  }

  @Test(
    "a diff on a server is applied, inspected, measured and verified like a file",
    arguments: ["plain", "whole", "failing"])
  func commands(_ mode: String) throws {
    try with { files, server in
      let address = "\(server)/\(mode)/exact.diff"
      for command in [
        ["inspect"], ["stats"], ["verify"], ["stats", "--json"], ["inspect", "--json"],
      ] {
        let here = try Diffkit.run(command + [files("exact.diff")])
        let there = try Diffkit.run(command + [address])
        #expect(there.code == 0)
        #expect(there.errors == "")
        #expect(
          there.output.replacing(address, with: "")
            == here.output.replacing(files("exact.diff"), with: ""))
      }
      expectSuccess(
        try Diffkit.run("apply", files("base.h5"), address, "-o", files("made.h5")),
        "2 tensors changed")
      #expect(try files.sameTensors("made.h5", "tuned.h5"))
      expectSuccess(
        try Diffkit.run("verify", address, files("tuned.h5")), "already applied")
      expectSuccess(
        try Diffkit.run("revert", files("made.h5"), address, "-o", files("back.h5")))
      #expect(try files.sameTensors("back.h5", "base.h5"))
      // The output is named after the diff, not after its address.
      expectSuccess(
        try Diffkit.run("apply", files("base.h5"), address + "?key=secret"), "base.exact.h5")
    }
  }

  @Test("several diffs, local and remote, are compared and merged")
  func several() throws {
    try with { files, server in
      let address = "\(server)/plain/add.diff"
      expectSuccess(
        try Diffkit.run("merge", files("add.diff"), address, "-o", files("sum.diff")))
      expectSuccess(try Diffkit.run("compare", files("add.diff"), address), "same")
    }
  }

  @Test("the cache is used first")
  func cache() throws {
    try with { files, server in
      let address = "\(server)/plain/exact.diff"
      for _ in 0..<2 {
        expectSuccess(try Diffkit.run("verify", address, "--cache", files("cache")), "sound")
      }
      #expect(files.folder.exists("cache"))
    }
  }

  @Test(
    "a server that sends too much is refused in little memory",
    arguments: ["more", "header", "unsized", "endless_error", "huge"])
  func memory(_ mode: String) throws {
    try with { files, server in
      expectTrouble(
        try Diffkit.runInLittleMemory(
          "apply", files("base.h5"), "\(server)/\(mode)/exact.diff", "-o", files("made.h5")))
      #expect(try files.folder.names == Fixture.names)
    }
  }

  @Test("an error is one line, and leaves no file")
  func trouble() throws {
    try with { files, server in
      let before = try files.folder.names
      func refusal(_ address: String, _ parts: String...) throws {
        let answer = try Diffkit.run(
          "apply", files("base.h5"), address, "-o", files("made.h5"), "--timeout", "1")
        expectTrouble(answer)
        for part in parts { #expect(answer.errors.contains(part), "\(answer.errors)") }
        #expect(try files.folder.names == before)
      }
      try refusal("\(server)/plain/nothing.diff", "\(server)/plain/nothing.diff: ", "404")
      try refusal("\(server)/plain/base.h5", "base.h5: byte 0: not a diff")
      try refusal("\(server)/to_file/exact.diff", "redirects to file:")
      try refusal("\(server)/shifted/exact.diff", "sends bytes")
      try refusal("\(server)/slow/exact.diff", "almost nothing for 1 s")
      try refusal("http://user:secret@127.0.0.1:1/x?key=secret", "http://127.0.0.1:1/x: ", "failed")
      try refusal("s3://bucket", "s3://BUCKET/KEY")
      let answer = try Diffkit.run("inspect", "http://user:secret@127.0.0.1:1/x?key=secret")
      #expect(!answer.errors.contains("secret"))
      #expect(try Diffkit.run("inspect", "http://127.0.0.1:1/x", "--timeout", "0").code == 2)
    }
  }
}
