import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct ReportCommandTests {
  private struct Inspected: Decodable {
    struct Tensor: Decodable {
      var name, operation, type: String
      var shape: [UInt64]
      var changes, storedBytes: UInt64
      var pages: Int
      var encodings: [String]
      var valueType: String?
      var scale: Int?
      var base, result: String?
    }
    var path, version, identity: String
    var size, indexSize, changes: UInt64
    var metadata: [String: String]
    var tensors: [Tensor]
  }

  @Test("inspect shows a diff's properties, also as JSON", arguments: ["exact.diff", "add.diff"])
  func inspect(name: String) throws {
    try Fixture.with { files in
      let diff = try DiffReader(files(name))
      let text = try Diffkit.run("inspect", files(name))
      expectSuccess(text, files(name), diff.identity.description, "task", "example")
      for entry in diff {
        #expect(text.output.contains(entry.name.description))
        #expect(text.output.contains(entry.operation.name))
      }
      let json = try Diffkit.run("inspect", "--json", files(name))
      expectSuccess(json)
      let values = try json.json(Inspected.self)
      #expect((values.path, values.version) == (files(name), "1.0"))
      #expect(values.identity == diff.identity.description)
      #expect((values.size, values.indexSize) == (diff.size, diff.indexSize))
      #expect(values.metadata == diff.metadata)
      #expect(values.changes == 2)
      #expect(values.tensors.map(\.name) == diff.map(\.name.description))
      #expect(values.tensors.map(\.type) == diff.map(\.type.name))
      #expect(values.tensors.map(\.shape) == diff.map(\.shape.extents))
      #expect(values.tensors.map(\.base) == diff.map(\.base?.description))
      #expect(values.tensors.map(\.result) == diff.map(\.result?.description))
      #expect(values.tensors.map(\.storedBytes) == diff.map(\.storedSize))
      #expect(values.tensors.allSatisfy { $0.pages == 1 && $0.encodings.count == 1 })
      #expect(values.tensors.allSatisfy { ($0.valueType == "f16") == (name == "add.diff") })
    }
  }

  private struct Measured: Decodable {
    struct Figures: Decodable {
      var elements, changes: UInt64
      var density: Double
    }
    struct Tensor: Decodable {
      var name: String
      var figures: Figures
    }
    struct Diff: Decodable {
      var path: String
      var size: UInt64
      var sparse: Figures
      var modelDensity: Double?
      var tensors: [Tensor]
    }
    struct Storage: Decodable {
      var base, diffs, copies: UInt64
      var tasks: Int
    }
    var diffs: [Diff]
    var storage: Storage?
  }

  @Test("stats shows measurements and storage, also as JSON")
  func stats() throws {
    try Fixture.with { files in
      let arguments = ["stats", files("base.h5"), files("exact.diff"), files("add.diff")]
      let text = Answer(try .run(Diffkit.path, arguments))
      expectSuccess(text, files("exact.diff"), files("add.diff"), "2 tasks", "all sparse", "2^")
      let json = Answer(try .run(Diffkit.path, arguments + ["--json"]))
      expectSuccess(json)
      let values = try json.json(Measured.self)
      let sizes = [
        UInt64(try files.bytes("exact.diff").count), UInt64(try files.bytes("add.diff").count),
      ]
      #expect(values.diffs.map(\.size) == sizes)
      #expect(values.diffs.map(\.sparse.changes) == [2, 2])
      #expect(values.diffs.map(\.sparse.elements) == [18, 18])
      #expect(values.diffs.allSatisfy { $0.modelDensity != nil && $0.sparse.density == 2.0 / 18 })
      #expect(values.diffs[0].tensors.map(\.name) == ["model/big", "model/kernel:0"])
      let base = UInt64(try files.bytes("base.h5").count)
      let storage = try #require(values.storage)
      #expect((storage.base, storage.copies, storage.tasks) == (base, 2 * base, 2))
      #expect(storage.diffs == sizes[0] + sizes[1])
      let alone = try Diffkit.run("stats", "--json", files("exact.diff"))
      #expect(try alone.json(Measured.self).storage == nil)
    }
  }

  private struct Verified: Decodable {
    var path, identity: String
    var entries, pages: Int
    var values: UInt64
    var checkpoint, state: String?
    var differing: [String]
  }

  @Test("verify reports the state of a checkpoint as text, JSON and exit code")
  func verify() throws {
    try Fixture.with { files in
      try files.change("tuned.h5", "mixed.h5", ["model/big": 0])
      try files.change("tuned.h5", "other.h5", ["model/big": 9])
      let cases: [(String?, Int32, String, String?)] = [
        (nil, 0, "sound", nil), ("base.h5", 0, "is the base", "base"),
        ("tuned.h5", 0, "already applied", "applied"),
        ("mixed.h5", 1, "partly applied", "partly-applied"),
        ("other.h5", 1, "differs: model/big", "different"),
      ]
      for (name, code, words, state) in cases {
        let arguments = ["verify", files("exact.diff")] + (name.map { [files($0)] } ?? [])
        for flags in [[], ["--verify", "touched"]] {
          let text = Answer(try .run(Diffkit.path, arguments + flags))
          #expect((text.code, text.errors) == (code, ""))
          #expect(text.output.contains(words))
          let json = Answer(try .run(Diffkit.path, arguments + flags + ["--json"]))
          #expect((json.code, json.errors) == (code, ""))
          let values = try json.json(Verified.self)
          #expect((values.entries, values.pages, values.values) == (2, 2, 2))
          #expect(values.state == state)
          #expect(values.checkpoint == name.map { files($0) })
          #expect(values.differing == (state == "different" ? ["model/big"] : []))
          let quiet = Answer(try .run(Diffkit.path, arguments + flags + ["-q"]))
          #expect((quiet.code, quiet.output, quiet.errors) == (code, "", ""))
        }
      }
      expectTrouble(
        try Diffkit.run(
          "verify", files("add.diff"), files("base.h5"), "--verify", "touched"), "touched")
    }
  }

  @Test("control characters in names and metadata do not reach the terminal")
  func controls() throws {
    try Fixture.with { files in
      let name = "\u{1B}[2J\u{9B}31m\nx\u{202E}"
      try files.makeDiff(
        "evil.diff", named: TensorName(name), metadata: ["note": "\u{1B}]0;title\u{7}"])
      for arguments in [
        ["inspect", files("evil.diff")], ["stats", files("evil.diff")],
        ["verify", files("evil.diff"), files("base.h5")],
        ["apply", files("base.h5"), files("evil.diff")], ["inspect", "--json", files("evil.diff")],
      ] {
        let answer = Answer(try .run(Diffkit.path, arguments))
        let all = (answer.output + answer.errors).unicodeScalars
        #expect(all.contains("\u{1B}") == false, "\(arguments)")
        if !arguments.contains("--json") {
          #expect(all.contains("\u{9B}") == false, "\(arguments)")
          #expect(all.contains("\u{202E}") == false, "\(arguments)")
          #expect((answer.output + answer.errors).contains("\\u{1b}[2J"), "\(arguments)")
        }
      }
    }
  }
}
