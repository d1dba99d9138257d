import StrictJSON
import TensorCore
import Testing
import TestSupport

/// Tables whose header, ids or format are easily mistaken, on a model of one layer.
@Suite(.serialized) struct MistakenTableTests {
  private static let texts = [
    "the red river", "the old house", "the big dog", "the blue sea", "the green road",
  ]

  private func run(_ arguments: [String]) throws -> Answer {
    Answer(try ChildProcess.run("timeout", ["60", Diffkit.path] + arguments))
  }

  /// Writes 40 rows after a first line.
  private func make(_ path: String, _ first: String, _ row: (Int, String, String) -> String) throws
  {
    let rows = (0..<40).map { row($0, Self.texts[$0 % 5], $0 % 3 == 0 ? "gut" : "schlecht") }
    try write(Array(([first] + rows).map { $0 + "\n" }.joined().utf8), toFile: path)
  }

  private func train(_ scratch: Scratch, _ table: String, _ more: String...) throws -> Answer {
    try run(
      [
        "train", scratch("base.safetensors"), "--task", scratch(table), "-o", scratch("task.diff"),
        "--force", "--method", "bitfit", "--fixed-epochs", "1", "--threads", "2",
      ] + more)
  }

  @Test("a header without common names is recognized by its difference from the rows")
  func headers() throws {
    try Scratch.with { scratch in
      _ = try TinyModel(scratch)
      // Numbers below a name, a label that no row has, and columns that are specified by number.
      try make(scratch("ids.csv"), "Nr,Meldung,Einstufung") { "\($0 + 1),\($1),\($2)" }
      try make(scratch("two.csv"), "Meldung,Einstufung") { _, text, label in "\(text),\(label)" }
      for (table, options, words) in [
        ("ids.csv", ["--text", "2", "--label", "3"], "column 1 has numbers below 'Nr'"),
        ("ids.csv", ["--text", "Meldung"], "columns are named"),
        ("two.csv", [], "'Einstufung' in line 1 is no label of another row"),
      ] {
        let answer = try run(
          [
            "train", scratch("base.safetensors"), "--task", scratch(table), "-o",
            scratch("task.diff"), "--force", "--method", "bitfit", "--fixed-epochs", "1",
          ] + options)
        #expect(answer.code == 0 && answer.errors.contains(words), "\(answer.errors)")
        #expect(answer.errors.contains("40 texts") && answer.errors.contains("gut, schlecht;"))
      }
      expectTrouble(try train(scratch, "ids.csv"), "ids.csv", "row numbers or ids", "--text")
      // A first row like the others is a row.
      try make(scratch("none.tsv"), "the red river\tgut") { _, text, label in "\(text)\t\(label)" }
      let plain = try train(scratch, "none.tsv")
      #expect(plain.code == 0 && plain.errors.contains("41 texts"), "\(plain.errors)")

      // The last row counts, whether its line ends or not.
      let rows = (0..<5).map { "\(Self.texts[$0])\t\($0 % 2 == 0 ? "gut" : "schlecht")" }
      let text = (["zeile\tklasse"] + rows).joined(separator: "\n")
      for (name, end) in [("ended.tsv", "\n"), ("open.tsv", "")] {
        try write(Array((text + end).utf8), toFile: scratch(name))
        let said = try run([
          "predict", scratch("base.safetensors"), scratch("task.diff"), "--input", scratch(name),
        ])
        #expect(said.code == 0 && said.errors.contains("texts of column 'zeile'"), "\(said.errors)")
        #expect(said.output.split(separator: "\n").count == 5)
      }

      // Without labels, in another order: by the names that were trained on.
      try make(scratch("names.csv"), "nummer,bewertung,urteil") { "\($0),\($1),\($2)" }
      #expect(
        try train(scratch, "names.csv", "--text", "bewertung", "--label", "urteil", "-q").code == 0)
      try make(scratch("new.csv"), "laden,bewertung") { number, text, _ in
        "Laden \(number),\(text)"
      }
      expectSuccess(
        try run(["scale", scratch("task.diff"), "0.5", "-o", scratch("half.diff"), "--force"]))
      for (diff, options) in [
        ("task.diff", []), ("half.diff", []), ("task.diff", ["--text", "2"]),
      ] as [(String, [String])] {
        let said = try run(
          [
            "predict", scratch("base.safetensors"), scratch(diff), "--input", scratch("new.csv"),
            "--format", "csv",
          ] + options)
        let lines = said.output.split(separator: "\n")
        #expect(lines.count == 41 && lines[1].hasSuffix(",the red river"), "\(said.errors)")
      }
    }
  }

  @Test("ids and times in a column of a pair are refused", arguments: 0..<3)
  func ids(_ kind: Int) throws {
    try Scratch.with { scratch in
      _ = try TinyModel(scratch)
      let letters = Array("abcdefgh")
      func id(_ number: Int) -> String {
        switch kind {
        case 0: String([letters[number % 8], letters[number / 8], "x", "y"])
        case 1: "2024-01-\(10 + number % 20) 10:\(10 + number)"
        default: "id-\(number)"
        }
      }
      try make(scratch("first.tsv"), "\(id(41))\tthe red river\tgut") { "\(id($0))\t\($1)\t\($2)" }
      try make(scratch("last.tsv"), "the red river\t\(id(41))\tgut") { "\($1)\t\(id($0))\t\($2)" }
      expectTrouble(try train(scratch, "first.tsv"), "column 1 seems to hold", "--text")
      expectTrouble(try train(scratch, "last.tsv"), "column 2 seems to hold", "--text")
      let named = try train(scratch, "last.tsv", "--text", "1", "--text", "2")
      #expect(named.code == 0, "\(named.errors)")
    }
  }

  @Test("rows of a table are not predicted as lines of text, and JSON Lines may end in .json")
  func formats() throws {
    try Scratch.with { scratch in
      _ = try TinyModel(scratch)
      try make(scratch("rows.tsv"), "the red river\tgut") { _, text, label in "\(text)\t\(label)" }
      #expect(try train(scratch, "rows.tsv", "-q").code == 0)
      let objects = (0..<10).map {
        #"{"text": "\#(Self.texts[$0 % 5])", "label": "\#($0 % 3 == 0 ? "gut" : "schlecht")"}"#
          + "\n"
      }.joined()
      try write(Array(objects.utf8), toFile: scratch("rows.json"))
      try write(contents(ofFile: scratch("rows.tsv")), toFile: scratch("rows.txt"))
      let predict = ["predict", scratch("base.safetensors"), scratch("task.diff"), "--input"]
      for (name, words) in [("rows.txt", "line 1 has a tab"), ("rows.json", "is a JSON object")] {
        expectTrouble(try run(predict + [scratch(name)]), name, words, "--input-format")
      }
      let lines = try run(predict + [scratch("rows.txt"), "--input-format", "lines"])
      #expect(lines.code == 0 && lines.output.contains("\tthe red river\tgut\n"))
      let table = try run(predict + [scratch("rows.txt"), "--input-format", "tsv"])
      #expect(table.code == 0 && table.output.contains("\tthe red river\n"))
      let task = ["evaluate", scratch("base.safetensors"), scratch("task.diff"), "--task"]
      expectTrouble(try run(task + [scratch("rows.json")]), "rows.json", "another kind")
      expectSuccess(try run(task + [scratch("rows.json"), "--input-format", "jsonl"]), "accuracy")
      expectTrouble(try train(scratch, "rows.json"), "rows.json", "--input-format")
    }
  }

  @Test("texts that are cut are noted, in the output too")
  func cut() throws {
    try Scratch.with { scratch in
      _ = try TinyModel(scratch)
      try make(scratch("rows.tsv"), "the red river\tgut") { _, text, label in "\(text)\t\(label)" }
      let trained = try train(
        scratch, "rows.tsv", "--max-length", "3", "--dev", scratch("rows.tsv"), "--json")
      let model = [scratch("base.safetensors"), scratch("task.diff")]
      let evaluated = try run(["evaluate"] + model + ["--task", scratch("rows.tsv"), "--json"])
      let said = try run(["predict"] + model + ["the red river", "the", "--json"])
      for (answer, words) in [
        (trained, "41 texts are truncated to 3 tokens"),
        (evaluated, "41 texts are truncated to 3 tokens"),
        (said, "1 text is truncated to 3 tokens"),
      ] {
        #expect(answer.code == 0 && answer.errors.contains(words), "\(answer.errors)")
        let notes = try JSONValue(parsing: Array(answer.output.utf8))["notes"]?.elements ?? []
        #expect(notes.contains { $0.text?.contains(words) == true }, "\(answer.output)")
      }
      let quiet = try run(["evaluate", "-q"] + model + ["--task", scratch("rows.tsv")])
      #expect((quiet.code, quiet.errors) == (0, ""))
    }
  }
}
