import Checkpoints
import Platform
import StrictJSON
import TensorCore
import Testing
import TestSupport

/// Files that do not exist, are of the wrong kind or cannot be written.
@Suite struct TroubleTests {
  /// Every command that takes files, with the file as each argument.
  private func commands(_ file: String, _ files: Fixture) -> [[String]] {
    let (base, tuned, diff) = (files("base.h5"), files("tuned.h5"), files("exact.diff"))
    return [
      ["create", file, tuned, "-o", files("no")], ["create", base, file, "-o", files("no")],
      ["apply", file, diff, "-o", files("no")], ["apply", base, file, "-o", files("no")],
      ["apply", base, diff, file, "-o", files("no")], ["revert", file, diff, "-o", files("no")],
      ["revert", tuned, file, "-o", files("no")], ["inspect", file], ["stats", file],
      ["stats", base, file], ["stats", file, diff], ["verify", file], ["verify", diff, file],
      ["compare", file, diff], ["compare", diff, file], ["compare", file, base],
      ["compare", base, file], ["compare", diff, diff, "--base", file],
      ["report", file, "-o", files("no")], ["report", diff, "--base", file, "-o", files("no")],
    ]
  }

  @Test("missing files, folders, pipes, devices and other files are reported with their path")
  func inputs() throws {
    try Fixture.with { files in
      #expect(unsafe mkfifo(files("fifo"), 0o600) == 0)
      try write(Array("some text, long enough to be anything".utf8), toFile: files("text"))
      try write([], toFile: files("empty"))
      let before = try files.folder.names
      let paths = [files("missing"), files.folder.path, files("fifo"), "/dev/zero", "/dev/null"]
      for file in paths + [files("text"), files("empty")] {
        for arguments in commands(file, files) {
          let answer = Answer(try .run("timeout", ["30", Diffkit.path] + arguments))
          expectTrouble(answer, file)
        }
      }
      let after = try files.folder.names
      #expect(after == before)
    }
  }

  @Test("names that are not UTF-8 are refused, not repaired to the name of another file")
  func brokenNames() throws {
    try Fixture.with { files in
      let command = #"exec "$0" create "$1" "$2" -o "$3"/$'d\xff.diff'"#
      let answer = Answer(
        try .run(
          "bash",
          ["-c", command, Diffkit.path, files("base.h5"), files("tuned.h5"), files.folder.path]))
      expectTrouble(answer, "is not UTF-8")
      #expect(try files.folder.names == Fixture.names)
    }
  }

  @Test("options that do not apply to the input, and outputs that cannot be piped, are refused")
  func inapplicableOptions() throws {
    try Fixture.with { files in
      let (base, diff) = (files("base.h5"), files("add.diff"))
      for (arguments, word) in [
        (["convert", base, files("no.h5"), "--to", "sparse-hdf5"], "--to sparse-hdf5"),
        (["convert", base, files("no.safetensors"), "--values", "f16"], "--values"),
        (["convert", base, files("no.safetensors"), "--base", base], "--base"),
        (["convert", diff, files("no.npz"), "--format", "hdf5"], "--format"),
        (["apply", base, diff, "-o", files("no.h5"), "--undo", "-"], "standard output"),
        (["apply", base, diff, "-o", "-"], "standard output"),
        (["apply", base, diff, "-o", files("no.safetensors")], "suffix of safetensors"),
      ] {
        expectTrouble(Answer(try .run(Diffkit.path, arguments)), word)
        #expect(try files.folder.names == Fixture.names, "\(arguments)")
      }
    }
  }

  @Test("a diff damaged by a transfer in text mode is reported as such")
  func textMode() throws {
    try Fixture.with { files in
      let bytes = try files.bytes("exact.diff")
      try write(bytes.filter { $0 != 0x0D }, toFile: files("lf.diff"))
      try write(bytes.map { $0 & 0x7F }, toFile: files("seven.diff"))
      for name in ["lf.diff", "seven.diff"] {
        for command in ["inspect", "stats", "verify"] {
          expectTrouble(try Diffkit.run(command, files(name)), files(name), "text mode")
        }
      }
    }
  }

  @Test(
    "verify names the class of the error in a diff",
    arguments: [
      "not-a-diff", "text-mode-utf8", "signature-cut", "version-before-features",
      "incompatible-feature", "page-checksum", "pages-past-index", "index-value-too-long",
    ])
  func classes(name: String) throws {
    let sample = "\(samples)/invalid/\(name)"
    let expected = try JSONValue(parsing: contents(ofFile: sample + ".json"))
    let code = try #require(expected["code"]?.text)
    expectTrouble(try Diffkit.run("verify", sample + ".diff"), " [\(code)]\n")
    let answer = try Diffkit.run("verify", "--json", sample + ".diff")
    let error = try #require(JSONValue(parsing: Array(answer.output.utf8))["error"])
    #expect(error["code"] == .string(code))
    #expect(error["offset"] == expected["offset"])
    #expect(error["path"] == .string(sample + ".diff"))
  }

  @Test("a damaged diff is an error for every command that reads it")
  func damaged() throws {
    try Fixture.with { files in
      var bytes = try files.bytes("exact.diff")
      bytes[40] ^= 1
      try write(bytes, toFile: files("flipped.diff"))
      try write(Array(bytes.dropLast(9)), toFile: files("short.diff"))
      for (name, reading) in [
        ("flipped.diff", ["stats", "verify"]), ("short.diff", ["inspect", "stats", "verify"]),
      ] {
        for command in reading { expectTrouble(try Diffkit.run(command, files(name)), files(name)) }
        for (command, source) in [("apply", "base.h5"), ("revert", "tuned.h5")] {
          let answer = try Diffkit.run(command, files(source), files(name), "-o", files("no"))
          expectTrouble(answer, files(name))
        }
      }
      #expect(!files.folder.exists("no"))
    }
  }

  @Test("an output in a folder that does not exist, or takes no files, is reported with its path")
  func outputs() throws {
    try Fixture.with { files in
      for output in [files("none/out"), files("base.h5/out"), "/proc/diffkit-out"] {
        expectTrouble(
          try Diffkit.run("apply", files("base.h5"), files("exact.diff"), "-o", output), output)
        expectTrouble(
          try Diffkit.run("create", files("base.h5"), files("tuned.h5"), "-o", output), output)
        expectTrouble(
          try Diffkit.run(
            "apply", files("base.h5"), files("exact.diff"), "-o", files("out"), "--undo", output),
          output)
        #expect(!files.folder.exists("out"))
      }
      expectTrouble(
        try Diffkit.run("quickstart", "--files", files("a/b"), "--samples", samples), files("a/b"))
    }
  }

  @Test(
    "an output in a read-only folder is reported with its path",
    .enabled(if: geteuid() != 0, "root may write everywhere"))
  func readOnly() throws {
    try Fixture.with { files in
      #expect(unsafe mkdir(files("locked"), 0o555) == 0)
      let output = files("locked/out")
      expectTrouble(
        try Diffkit.run("apply", files("base.h5"), files("exact.diff"), "-o", output), output)
      expectTrouble(
        try Diffkit.run("create", files("base.h5"), files("tuned.h5"), "-o", output), output)
    }
  }

  @Test("a pipe, a link or a folder is not replaced, even with --force")
  func irregularOutputs() throws {
    try Fixture.with { files in
      #expect(unsafe mkfifo(files("fifo"), 0o600) == 0)
      #expect(unsafe symlink("base.h5", files("link")) == 0)
      for output in [files("fifo"), files("link"), files.folder.path] {
        let answer = try Diffkit.run(
          "apply", files("base.h5"), files("exact.diff"), "-o", output, "--force")
        expectTrouble(answer, output)
      }
    }
  }

  @Test("a full device as standard output is exit code 2")
  func fullDevice() throws {
    try Fixture.with { files in
      let (base, tuned, diff) = (files("base.h5"), files("tuned.h5"), files("exact.diff"))
      for arguments in [
        ["inspect", diff], ["inspect", "--json", diff], ["stats", diff], ["stats", "--json", diff],
        ["verify", diff], ["verify", "--json", diff], ["--help"], ["--version"],
        ["inspect", base], ["stats", base], ["stats", "--plot", diff], ["compare", diff, diff],
        ["compare", "--json", base, base], ["report", diff, "-o", files("r")],
        ["report", diff, "-o", "-"], ["create", base, tuned, "-o", "-"],
        ["--generate-completion-script", "bash"],
        ["apply", "--help"],
        ["create", base, tuned, "-o", files("1")], ["apply", base, diff, "-o", files("2")],
        ["revert", tuned, diff, "-o", files("3")],
        ["quickstart", "--files", files("q"), "--samples", samples],
      ] {
        let answer = Answer(try .run(Diffkit.path, arguments, outputPath: "/dev/full"))
        #expect(answer.code == 2, "\(arguments)")
        #expect(answer.errors.contains("standard output"), "\(arguments)")
      }
    }
  }

  private var samples: String { Repository.path + "/samples" }

  @Test(
    "a pointer, a compressed file or a web page in place of a diff is named",
    arguments: [
      ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
      ("\u{1F}\u{8B}\u{8}", "gunzip"), ("<!DOCTYPE html>", "a web page"), ("hello", "signature"),
    ])
  func foreign(start: String, message: String) throws {
    try Fixture.with { files in
      let path = files("foreign.diff")
      try write(start.unicodeScalars.map { UInt8($0.value) }, toFile: path)
      expectTrouble(try Diffkit.run("verify", path), path, "not a diff: ", message)
      expectTrouble(try Diffkit.run("apply", files("base.h5"), path), path, message)
    }
  }

  @Test("inspect lists tensors that cannot be read, and shows the others")
  func unreadable() throws {
    try Scratch.with { scratch in
      let folder = Repository.path + "/Tests/CheckpointsTests/Resources/"
      var bytes = try contents(ofFile: folder + "indexes/btree1.h5")
      // An extent of a contiguous tensor.
      bytes[1432] = 2
      try write(bytes, toFile: scratch("shape.h5"))
      for hash in [[], ["--hash"]] {
        let answer = try Diffkit.run(["inspect", scratch("shape.h5")] + hash)
        #expect((answer.code, answer.errors) == (2, ""))
        #expect(answer.output.contains("not read:\n  layer/w: its elements take "))
        #expect(answer.output.contains("packed") && !answer.output.contains("\nfingerprint"))
      }
      expectTrouble(
        try Diffkit.run("stats", scratch("shape.h5")), "layer/w", "bytes are stored")

      let file = try CheckpointFile.open(Repository.base)
      let packed = try #require(file.tensors.first { $0.name == "model/packed" })
      guard case .chunked(let chunks) = packed.storage else { throw DiffError(.usage, "chunked") }
      var damaged = try contents(ofFile: Repository.base)
      damaged[Int(chunks.chunks[1].offset) + 8] ^= 0xFF
      try write(damaged, toFile: scratch("chunk.h5"))
      expectSuccess(try Diffkit.run("inspect", scratch("chunk.h5")), "model/packed")
      let hashed = try Diffkit.run("inspect", scratch("chunk.h5"), "--hash")
      #expect((hashed.code, hashed.errors) == (2, ""))
      #expect(hashed.output.contains("not read:\n  model/packed: "))
    }
  }
}
