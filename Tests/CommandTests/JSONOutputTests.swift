import DiffFormat
import Platform
import StrictJSON
import TensorCore
import Testing
import TestSupport

@Suite struct JSONOutputTests {
  private static let schema = Repository.path + "/spec/output.schema.json"

  /// Runs a command with --json and compares the output with a definition.
  private func expect(
    _ definition: String, _ arguments: [String], code: Int32 = 0,
    at location: SourceLocation = #_sourceLocation
  ) throws {
    let answer = Answer(try .run(Diffkit.path, arguments + ["--json"]))
    let others = answer.errors.split(separator: "\n").filter { !$0.hasPrefix("note: ") }
    #expect(answer.code == code && others == [], "\(arguments)", sourceLocation: location)
    let value = try JSONValue(parsing: Array(answer.output.utf8))
    let faults = try JSONSchema(Self.schema).faults(value, definition)
    #expect(faults == [], "\(arguments)", sourceLocation: location)
  }

  @Test("the output of every command matches spec/output.schema.json")
  func commands() throws {
    try Fixture.with { files in
      let (base, tuned) = (files("base.h5"), files("tuned.h5"))
      let (exact, add) = (files("exact.diff"), files("add.diff"))
      try expect("create", ["create", base, tuned, "-o", files("1.diff")])
      try expect("create", ["create", base, tuned, "--add", "-o", files("2.diff")])
      try expect("apply", ["apply", base, exact, "-o", files("1.h5")])
      try expect("apply", ["apply", tuned, exact, "-o", files("2.h5")])
      try expect("revert", ["revert", tuned, exact, "-o", files("3.h5")])
      try expect("apply", ["apply", files("1.h5"), add, "--in-place", "--allow-other-base"])
      try expect("recover", ["recover", files("1.h5")])
      try expect(
        "convert",
        ["convert", Repository.path + "/samples/textgenrnn_weights.hdf5", files("a.safetensors")])
      for diff in [exact, add] {
        try expect("inspect", ["inspect", diff])
        try expect("verify", ["verify", diff])
        for checkpoint in [base, tuned] { try expect("verify", ["verify", diff, checkpoint]) }
        try expect("stats", ["stats", diff])
        try expect("stats", ["stats", base, diff, exact])
      }
      try expect("inspect-checkpoint", ["inspect", base])
      try expect("inspect-checkpoint", ["inspect", base, "--hash"])
      var bytes = try contents(
        ofFile: Repository.path + "/Tests/CheckpointsTests/Resources/indexes/btree1.h5")
      bytes[1432] = 0
      try write(bytes, toFile: files("damaged.h5"))
      try expect("inspect-checkpoint", ["inspect", files("damaged.h5")], code: 2)
      try expect("stats-checkpoint", ["stats", base])
      try expect("compare", ["compare", exact, exact])
      try expect("compare", ["compare", exact, add], code: 1)
      try expect("compare", ["compare", add, add, exact, "--base", base], code: 1)
      try expect("compare-checkpoints", ["compare", base, base])
      try expect("compare-checkpoints", ["compare", base, tuned], code: 1)
      try expect("report", ["report", exact, add, "-o", files("r.html")])
      try expect(
        "quickstartFiles",
        ["quickstart", "--files", files("q"), "--samples", Repository.path + "/samples"])
    }
  }

  @Test("the output of commands that combine diffs matches the schema")
  func combining() throws {
    try Fixture.with { files in
      let (exact, add) = (files("exact.diff"), files("add.diff"))
      try expect("merge", ["merge", add, add, "-o", files("1.diff")])
      try expect("merge-dry-run", ["merge", add, add, "--dry-run"])
      try expect("apply-dry-run", ["apply", files("base.h5"), exact, "--dry-run"])
      try expect("compose", ["compose", exact, "-o", files("2.diff")])
      try expect("prune", ["prune", add, "--threshold", "1", "-o", files("3.diff")])
      try expect("scale", ["scale", add, "0.5", "-o", files("4.diff")])
      try expect("extract", ["extract", add, "--tensors", "model*", "-o", files("5.diff")])
      try expect("convert-diff", ["convert", add, files("6.npz")])
    }
  }

  @Test(
    "the valid samples, of every operation, match the schema",
    arguments: [
      "add", "every-type", "insert", "delete", "reshape", "names", "metadata", "empty",
    ])
  func samples(name: String) throws {
    let path = Repository.path + "/samples/valid/\(name).diff"
    try expect("inspect", ["inspect", path])
    try expect("stats", ["stats", path])
    try expect("verify", ["verify", path])
    // That sample has two names that are the same tensor in a comparison.
    if name != "names" { try expect("compare", ["compare", path, path]) }
  }

  @Test("the schema reports what does not match it")
  func faults() throws {
    let schema = try JSONSchema(Self.schema)
    #expect(schema.definitions.contains("compare"))
    for text in [
      #"{}"#, #"{"output":1,"size":2,"diffs":3}"#, #"{"output":"a","size":2.5,"diffs":3}"#,
      #"{"output":"a","size":2,"diffs":3,"more":4}"#, #"[]"#,
    ] {
      let value = try JSONValue(parsing: Array(text.utf8))
      #expect(schema.faults(value, "report") != [], "\(text)")
    }
  }

  /// Runs a command that fails, with --json; returns the object. The line for people is printed,
  /// too.
  private func failure(
    _ arguments: [String], at location: SourceLocation = #_sourceLocation
  ) throws -> JSONValue {
    let plain = Answer(try .run(Diffkit.path, arguments))
    expectTrouble(plain, at: location)
    let answer = Answer(try .run(Diffkit.path, arguments + ["--json"]))
    #expect((answer.code, answer.errors) == (2, plain.errors), sourceLocation: location)
    let value = try JSONValue(parsing: Array(answer.output.utf8))
    let faults = try JSONSchema(Self.schema).faults(value, "error")
    #expect(faults == [], "\(arguments)", sourceLocation: location)
    return try #require(value["error"])
  }

  @Test("an error is an object, and the same line on standard error as without --json")
  func trouble() throws {
    for arguments in [
      ["inspect", "missing"], ["compare", "missing", "missing"], ["report", "missing"],
      ["stats", "missing"],
    ] {
      let error = try failure(arguments)
      #expect(error["code"] == .string("not-found"))
      #expect(error["path"] == .string("missing"))
      #expect(error["errno"] == .number("\(ENOENT)"))
    }
  }

  @Test("an error has its class, and its location and remedy if they are known")
  func errors() throws {
    try Fixture.with { files in
      let (base, tuned, exact) = (files("base.h5"), files("tuned.h5"), files("exact.diff"))
      let exists = try failure(["create", base, tuned, "-o", exact])
      #expect(exists["code"] == .string("exists"))
      #expect(exists["remedy"] == .string("overwrite"))
      #expect(exists["message"]?.text?.contains("--force") == true)
      var bytes = try files.bytes("exact.diff")
      bytes[40] ^= 1
      try write(bytes, toFile: files("flipped.diff"))
      let flipped = try failure(["verify", files("flipped.diff")])
      #expect(flipped["code"] == .string("checksum"))
      #expect(flipped["tensor"] == .string("model/big"))
      #expect(flipped["offset"] == .number("32"))
    }
  }

  @Test("wrong options are a usage error")
  func usage() throws {
    for arguments in [["verify"], ["prune", "a", "--nonsense"], ["frobnicate"]] {
      let answer = Answer(try .run(Diffkit.path, arguments + ["--json"]))
      #expect(answer.code == 2)
      let value = try JSONValue(parsing: Array(answer.output.utf8))
      #expect(try JSONSchema(Self.schema).faults(value, "error") == [])
      #expect(value["error"]?["code"] == .string("usage"))
    }
  }

  @Test("no object is printed if a diff was to go to standard output")
  func pipes() throws {
    try Fixture.with { files in
      let (base, exact) = (files("base.h5"), files("exact.diff"))
      for arguments in [
        ["create", base, "missing", "-o", "-"], ["create", base, "missing", "--output=-"],
        ["convert", "missing", "-"], ["compose", exact, "missing", "-o", "-"],
      ] {
        expectTrouble(Answer(try .run(Diffkit.path, arguments + ["--json"])), "missing")
      }
    }
  }
}
