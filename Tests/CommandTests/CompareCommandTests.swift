import TensorCore
import Testing
import TestSupport

@Suite struct CompareCommandTests {
  @Test("exit code 0 is same, 1 different, 2 an error")
  func codes() throws {
    try Fixture.with { files in
      let (base, tuned) = (files("base.h5"), files("tuned.h5"))
      let (exact, add) = (files("exact.diff"), files("add.diff"))
      expectSuccess(try Diffkit.run("compare", exact, exact), "all", "same\n")
      expectSuccess(try Diffkit.run("compare", base, base), "common tensors are equal", "same\n")
      for (one, other) in [(exact, add), (base, tuned)] {
        let answer = try Diffkit.run("compare", one, other)
        #expect((answer.code, answer.errors) == (1, ""))
        #expect(answer.output.hasSuffix("different\n"))
        let quiet = try Diffkit.run("compare", one, other, "-q")
        #expect((quiet.code, quiet.output, quiet.errors) == (1, "", ""))
      }
      expectTrouble(try Diffkit.run("compare", exact, base), base, "not a diff")
      expectTrouble(try Diffkit.run("compare", base, base, base), "two at a time")
      expectTrouble(
        try Diffkit.run("compare", base, base, "--base", base), "--base applies to diffs only")
      expectTrouble(try Diffkit.run("compare", exact, exact, "--base", tuned), tuned, "tensor ")
    }
  }

  @Test("with a tolerance, close values are the same")
  func tolerance() throws {
    try Fixture.with { files in
      try files.change("tuned.h5", "near.h5", ["model/big": 2.001])
      let pair = [files("tuned.h5"), files("near.h5")]
      for (flags, code) in [
        ([], 1), (["--atol", "0.01"], 0), (["--rtol", "0.0001"], 1), (["--rtol", "0.001"], 0),
      ] as [([String], Int32)] {
        #expect(Answer(try .run(Diffkit.path, ["compare"] + pair + flags)).code == code, "\(flags)")
      }
    }
  }

  @Test("three or more are shown as matrices, split where the terminal is narrow")
  func matrix() throws {
    try Fixture.with { files in
      let diffs = [String](repeating: files("add.diff"), count: 5) + [files("exact.diff")]
      for columns in ["30", "200"] {
        let answer = Answer(
          try .run(
            "env",
            ["COLUMNS=\(columns)", Diffkit.path, "compare"] + diffs + [
              "--base", files("base.h5"),
            ]))
        #expect(answer.code == 1)
        #expect(answer.output.contains("cosine"))
        let matrices = answer.output.split(separator: "\n").drop { $0 != "Jaccard" }
        let table = matrices.filter { $0.hasPrefix("6 ") }
        #expect(table.count == (columns == "30" ? 12 : 4))
        #expect(table.allSatisfy { $0.count <= 30 } || columns == "200")
      }
    }
  }

  @Test(
    "missing and wrong arguments are usage errors",
    arguments: [
      ["compare"], ["compare", "a"], ["compare", "a", "b", "--atol=-1"],
      ["compare", "a", "b", "--rtol", "nan"],
    ])
  func usage(arguments: [String]) throws {
    let answer = Answer(try .run(Diffkit.path, arguments))
    #expect((answer.code, answer.output) == (2, ""))
    #expect(answer.errors.contains("Usage: diffkit compare"))
  }
}
