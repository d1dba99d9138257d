import DiffFormat
import Foundation
import TensorCore
import Testing
import TestSupport

@Suite struct GeneralCommandTests {
  @Test("--version prints a version")
  func version() throws {
    let answer = try Diffkit.run("--version")
    expectSuccess(answer)
    #expect(answer.output.split(separator: ".").count == 3)
  }

  @Test(
    "every subcommand has help",
    arguments: [
      "create", "apply", "revert", "recover", "inspect", "stats", "verify", "compare", "report",
      "convert", "merge", "compose", "prune", "scale", "extract", "quickstart",
    ])
  func help(command: String) throws {
    let help = try Diffkit.run(command, "--help")
    // It has an example.
    expectSuccess(help, "USAGE: diffkit \(command)", "--help", "\n  diffkit \(command) ")
    expectSuccess(try Diffkit.run("--help"), "  \(command) ", "Exit codes")
  }

  @Test("no command at all prints help")
  func none() throws { expectSuccess(try Diffkit.run(), "USAGE: diffkit") }

  @Test("an unknown command or option is a usage error", arguments: ["nonsense", "--nonsense"])
  func unknown(word: String) throws {
    let answer = try Diffkit.run(word)
    #expect((answer.code, answer.output) == (2, ""))
    #expect(answer.errors.contains(word))
  }

  @Test("the closest command is suggested")
  func suggestion() throws {
    for (word, meant) in [("aply", "apply"), ("inspekt", "inspect"), ("stat", "stats")] {
      let answer = try Diffkit.run(word, "x")
      #expect((answer.code, answer.output) == (2, ""))
      #expect(answer.errors.contains("there is no command '\(word)'; did you mean '\(meant)'?"))
    }
    #expect(try !Diffkit.run("frobnicate").errors.contains("did you mean"))
    #expect(try !Diffkit.run("x\u{1B}[2J").errors.unicodeScalars.contains("\u{1B}"))
  }

  @Test(
    "shells get scripts that complete commands and options", arguments: ["bash", "zsh", "fish"])
  func completion(shell: String) throws {
    let answer = try Diffkit.run("--generate-completion-script", shell)
    expectSuccess(answer, "compare", "inspect", "output", "density")
    guard shell == "bash" else { return }
    let checked = try ChildProcess.run(
      "bash", ["-n", "-c", answer.output])
    #expect(checked.ending == .exit(0))
  }

  @Test("no escape sequences if the output is not a terminal, whatever TERM is")
  func colors() throws {
    try Fixture.with { files in
      let answer = Answer(
        try .run(
          "env", ["TERM=xterm-256color", Diffkit.path, "stats", files("add.diff"), "--plot"]))
      expectSuccess(answer)
      #expect(!answer.output.unicodeScalars.contains("\u{1B}"))
    }
  }

  @Test(
    "on a terminal there are colors, except with NO_COLOR and on dumb terminals",
    .enabled(if: (try? ChildProcess.run("script", ["--version"])) != nil, "there is no script here")
  )
  func terminal() throws {
    try Fixture.with { files in
      for (variables, hasColors) in [
        (["TERM=xterm", "NO_COLOR="], true), (["TERM=xterm", "NO_COLOR=1"], false),
        (["TERM=dumb", "NO_COLOR="], false),
      ] {
        let line =
          "env \(variables.joined(separator: " ")) \(Diffkit.path) stats \(files("add.diff"))"
        let child = try ChildProcess.run("script", ["-qec", line, "/dev/null"])
        #expect(child.ending == .exit(0))
        #expect(child.output.contains(0x1B) == hasColors, "\(variables)")
      }
    }
  }

  @Test("names in wide characters keep columns aligned, and are shortened by columns")
  func wideLetters() throws {
    try Scratch.with { scratch in
      let sink = try FileSink(scratch("wide.diff"))
      let writer = try DiffWriter(sink)
      let names: [TensorName] = ["abcdefgh/kernel", "重み/ベクトル"]
      for name in names {
        try writer.begin(DiffEntry(name, .xor, .f32, Shape(vector: 9)))
        try writer.append(ChangeRun(at: 3, [0], [1, 2, 3, 4]))
        try writer.end()
      }
      try writer.finish()
      try sink.commit()
      // The operation starts in the same column: a wide character takes two.
      func column(_ row: Substring) -> Int? {
        row.range(of: " xor ").map { range in
          row[..<range.lowerBound].unicodeScalars.reduce(0) { $0 + ($1.value > 0x2E80 ? 2 : 1) }
        }
      }
      for width in [200, 44] {
        let answer = try ChildProcess.run(
          "env", ["COLUMNS=\(width)", Diffkit.path, "inspect", scratch("wide.diff")])
        let rows = String(decoding: answer.output, as: UTF8.self).split(separator: "\n")
          .filter { $0.contains(" xor ") }
        #expect(rows.count == 2)
        #expect(Set(rows.map(column)).count == 1, "\(rows)")
      }
    }
  }

  @Test("quickstart finds the samples of the sources that it was built from, in any folder")
  func quickstartElsewhere() throws {
    try Scratch.with { scratch in
      expectSuccess(try Diffkit.run(in: scratch.path, "quickstart", "--files", "q"))
      #expect(scratch.exists("q"))
    }
  }

  @Test("quickstart --files runs on the samples")
  func quickstart() throws {
    try Scratch.with { scratch in
      let samples = Repository.path + "/samples"
      let answer = try Diffkit.run("quickstart", "--files", scratch("q"), "--samples", samples)
      expectSuccess(
        answer, "all 10 fingerprints equal those of", "already applied, nothing written",
        "verify: the checkpoint is its result", "Nine such tasks")
      let made = Scratch(path: scratch("q"))
      let names = try made.names
      #expect(
        names == ["base.h5", "exact.diff", "half-percent.diff", "half-percent.h5", "tuned.h5"])
      expectSuccess(
        try Diffkit.run(
          "verify", made("exact.diff"), samples + "/textgenrnn_hacker_news.hdf5"), "applied")
      expectTrouble(
        try Diffkit.run("quickstart", "--files", scratch("q"), "--samples", samples), scratch("q"),
        "exists")
      expectTrouble(
        try Diffkit.run("quickstart", "--files", scratch("r"), "--samples", scratch.path),
        scratch.path)
      #expect(!scratch.exists("r"))
    }
  }

  @Test("a tensor that cannot be read does not keep others from being hashed")
  func unreadableTensor() throws {
    let path = Repository.path + "/Tests/CheckpointsTests/Resources/lzf.h5"
    let table = try Diffkit.run("inspect", path)
    expectSuccess(table, "packed", "plain", "filter 32000")
    let hashed = try Diffkit.run("inspect", path, "--hash")
    #expect((hashed.code, hashed.errors) == (2, ""))
    let plain = try #require(hashed.output.split(separator: "\n").first { $0.hasPrefix("plain") })
    #expect(plain.split(separator: " ").last?.count == 32)
    #expect(
      hashed.output.contains("packed: its chunks use a filter that this libhdf5 lacks, lzf"))
    expectTrouble(try Diffkit.run("compare", path, path), "packed")
  }

  @Test("a name of 40 000 bytes is shortened in messages")
  func longName() throws {
    try Scratch.with { scratch in
      let name = String(repeating: "long", count: 10_000)
      let header = #"{"\#(name)":{"dtype":"X1","shape":[1],"data_offsets":[0,1]}}"#
      try write(
        littleEndian([UInt64(header.utf8.count)]) + Array(header.utf8) + [1],
        toFile: scratch("f.safetensors"))
      let answer = try Diffkit.run("inspect", scratch("f.safetensors"))
      #expect(answer.code == 2)
      #expect(answer.errors.contains("longlong… (40000 bytes) …"))
      #expect(answer.errors.utf8.count < 1000)
    }
  }

  @Test("a closed standard stream is an error, and no other file takes its descriptor")
  func closedStreams() throws {
    func run(_ script: String) throws -> Answer {
      Answer(
        try ChildProcess.run("timeout", ["-s", "KILL", "30", "sh", "-c", script, Diffkit.path]))
    }
    for command in ["inspect -", "verify -", "stats '\(Repository.base)' -"] {
      expectTrouble(try run("exec \"$0\" \(command) <&-"), "standard input")
    }
    let silent = try run("exec \"$0\" inspect '\(Repository.base)' >&-")
    #expect(silent.code == 2)
  }

  @Test("a limit on the size of files is an error, and nothing is left")
  func sizeLimit() throws {
    try Scratch.with { scratch in
      let answer = Answer(
        try ChildProcess.run(
          "sh",
          [
            "-c", "ulimit -f 1; exec \"$0\" \"$@\"", Diffkit.path, "convert", Repository.base,
            scratch("x.safetensors"),
          ]))
      expectTrouble(answer, "x.safetensors", "too large")
      #expect(try scratch.names == [])
    }
  }
}
