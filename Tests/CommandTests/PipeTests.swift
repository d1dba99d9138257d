import Testing
import TestSupport

@Suite struct PipeTests {
  /// Runs a line of the shell in the fixture's folder.
  private func shell(_ files: Fixture, _ line: String) throws -> Answer {
    Answer(
      try .run(
        "sh", ["-c", "cd \"$1\" && PATH=\"$2:$PATH\" && \(line)", "sh", files.folder.path, folder]))
  }

  private var folder: String { String(Diffkit.path.dropLast("/diffkit".count)) }

  @Test("a diff may go through a pipe, from create to any command that reads one")
  func pipes() throws {
    try Fixture.with { files in
      let whole = try shell(
        files, "diffkit create base.h5 tuned.h5 --meta task=example -o - | cmp - exact.diff")
      expectSuccess(whole)
      let applied = try shell(
        files, "diffkit create base.h5 tuned.h5 -o - | diffkit apply base.h5 - -o out.h5")
      expectSuccess(applied, "out.h5: written")
      #expect(try files.sameTensors("out.h5", "tuned.h5"))
      for (command, words) in [
        ("inspect -", "standard input"), ("stats -", "all sparse"), ("verify -", "sound"),
        ("verify - base.h5", "is the base"), ("compare - exact.diff", "same"),
        ("stats - --plot", "full block"), ("report - -o -", "</html>"),
      ] {
        expectSuccess(try shell(files, "diffkit \(command) < exact.diff"), words)
      }
    }
  }

  @Test("a program gets progress as lines on standard error, results as without it")
  func progress() throws {
    try Fixture.with { files in
      for command in [
        "create base.h5 tuned.h5 -o made.diff --force",
        "apply base.h5 exact.diff -o out.h5 --force",
        "verify exact.diff base.h5", "compare base.h5 base.h5",
      ] {
        let plain = try shell(files, "diffkit \(command) --json")
        let told = try shell(files, "DIFFKIT_PROGRESS=lines diffkit \(command) --json")
        #expect((told.code, told.output, plain.errors) == (plain.code, plain.output, ""))
        let lines = told.errors.split(separator: "\n")
        #expect(lines.allSatisfy { $0.hasPrefix("progress: ") })
        let numbers = try #require(lines.last).split(separator: " ").suffix(2).map { UInt64($0) }
        #expect(numbers[0] == numbers[1] && numbers[0] ?? 0 > 0)
      }
    }
  }

  @Test("commands that make a diff from diffs read and write pipes")
  func filters() throws {
    try Fixture.with { files in
      let line =
        "diffkit merge - add.diff --weights 0.5,0.5 -o - < add.diff | diffkit prune - --threshold "
        + "1e-30 | diffkit scale - 1 | diffkit extract - --tensors '*' | diffkit convert - - "
      expectSuccess(try shell(files, line + "| diffkit compare - add.diff"), "same")
      expectSuccess(
        try shell(files, "diffkit compose - -o - < exact.diff | diffkit compare - exact.diff"))
      for refused in ["compose - -o -", "merge - - -o -", "convert - - --to shira"] {
        expectTrouble(try shell(files, "diffkit \(refused) < add.diff"), "diffkit: ")
      }
    }
  }

  @Test("piped input that is not a diff is reported")
  func trouble() throws {
    try Fixture.with { files in
      for input in ["/dev/null", "base.h5"] {
        expectTrouble(try shell(files, "diffkit inspect - < \(input)"), "standard input")
      }
      expectTrouble(try shell(files, "head -c 100 exact.diff | diffkit stats -"), "standard input")
    }
  }

  @Test("a closed pipe is an error, not a signal")
  func closed() throws {
    try Fixture.with { files in
      // The fifo ensures that nothing is written before the reader has gone.
      let answer = try shell(
        files,
        "mkfifo gone && { cat gone; diffkit create base.h5 tuned.h5 -o -; echo $? >&2; } "
          + "| { exec <&-; : > gone; }")
      let lines = answer.errors.split(separator: "\n")
      #expect(lines.count == 2 && lines.first?.hasPrefix("diffkit: ") == true)
      #expect(lines.last == "2")
    }
  }

  @Test("if the reader of text closes the pipe, the program ends silently")
  func head() throws {
    try Fixture.with { files in
      let answer = try shell(
        files,
        "mkfifo gone && { cat gone; diffkit inspect base.h5; echo $? >&2; } "
          + "| { exec <&-; : > gone; }")
      // 128 and the number of SIGPIPE.
      #expect(answer.errors == "141\n")
    }
  }

  @Test("a named pipe as a diff is refused with a remedy")
  func named() throws {
    try Fixture.with { files in
      expectTrouble(
        try shell(files, "mkfifo d.diff && diffkit apply base.h5 d.diff -o out.h5"),
        "not a regular file", "'-'")
    }
  }

  @Test("a pipe that is named as a file is refused with the way to read it")
  func pathOfPipe() throws {
    try Fixture.with { files in
      expectTrouble(
        try shell(files, "cat exact.diff | diffkit apply base.h5 /dev/fd/0 -o out.h5"),
        "/dev/fd/0: not a regular file; only a diff can be read from standard input, as '-'")
    }
  }
}
