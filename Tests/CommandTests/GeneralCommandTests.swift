import TestSupport
import Testing

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
      "create", "apply", "revert", "inspect", "stats", "verify", "quickstart",
    ])
  func help(command: String) throws {
    expectSuccess(try Diffkit.run(command, "--help"), "USAGE: diffkit \(command)", "--help")
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

  @Test("quickstart goes once round the samples")
  func quickstart() throws {
    try Scratch.with { scratch in
      let samples = Repository.path + "/samples"
      let answer = try Diffkit.run("quickstart", scratch("q"), "--samples", samples)
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
        try Diffkit.run("quickstart", scratch("q"), "--samples", samples), scratch("q"), "exists")
      expectTrouble(
        try Diffkit.run("quickstart", scratch("r"), "--samples", scratch.path), scratch.path)
      #expect(!scratch.exists("r"))
    }
  }
}
