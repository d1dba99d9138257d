import DiffFormat
import Foundation
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// `train`, `evaluate` and `predict` where data, labels, options or files are not as expected, on a
/// model of one layer.
@Suite(.serialized) struct CheckedTaskTests {
  private static let words = [
    "red river", "old house", "big dog", "blue sea", "green road", "king cat",
  ]

  /// Writes 48 rows with an id, a text, a shop and a label.
  private func makeTable(
    _ scratch: Scratch, _ name: String = "reviews.csv", rows: Range<Int> = 0..<48,
    label: (Int) -> String = { $0 % 6 == 0 ? "gut" : "schlecht" }
  ) throws {
    let lines = rows.map { number in
      let text = "the \(Self.words[number % 6]), the \(Self.words[number / 6 % 6])"
      return "\(number + 1000),\"\(text)\",Laden \(number % 3),\(label(number))"
    }
    try (["id,text,shop,label"] + lines).joined(separator: "\n")
      .write(toFile: scratch(name), atomically: true, encoding: .utf8)
  }

  private func run(_ arguments: [String]) throws -> Answer {
    Answer(try ChildProcess.run("timeout", ["60", Diffkit.path] + arguments))
  }

  private func train(_ scratch: Scratch, _ base: String, _ more: String...) throws -> Answer {
    try train(scratch, base, with: more)
  }

  private func train(_ scratch: Scratch, _ base: String, with more: [String]) throws -> Answer {
    try run(
      [
        "train", base, "--task", scratch("reviews.csv"), "-o", scratch("task.diff"), "--epochs",
        "1", "--fixed-epochs", "1", "--threads", "2",
      ] + more)
  }

  /// Makes a folder as Hugging Face's, and another one, tuned, with the diff in between.
  private func makeFolders(_ scratch: Scratch, _ more: [String] = []) throws {
    _ = try TinyModel(scratch)
    try makeTable(scratch)
    try makeFolder(scratch("hf"))
    for (from, to) in [
      ("base.safetensors", "model.safetensors"), ("config.json", "config.json"),
      ("vocab.txt", "vocab.txt"),
    ] { try FileManager.default.moveItem(atPath: scratch(from), toPath: scratch("hf/" + to)) }
    let trained = try train(scratch, scratch("hf"), with: ["--density", "0.05", "-q"] + more)
    #expect(trained.code == 0, "\(trained.errors)")
    expectSuccess(
      try run(["apply", scratch("hf"), scratch("task.diff"), "-o", scratch("tuned")]))
  }

  @Test("the classes of a folder's head are those of its config.json")
  func classesOfFolder() throws {
    try Scratch.with { scratch in
      try makeFolders(scratch)
      let task = ["--task", scratch("reviews.csv"), "--json"]
      let scored = try run(["evaluate", scratch("hf"), scratch("task.diff")] + task)
      let plain = try run(["evaluate", scratch("tuned")] + task)
      #expect((plain.code, plain.errors) == (0, ""))
      #expect(plain.output == scored.output)
      let said = try run(["predict", scratch("tuned"), "the red river"])
      expectSuccess(said, "\tthe red river\n")
      #expect(
        said.output
          == (try run(["predict", scratch("hf"), scratch("task.diff"), "the red river"])).output)
      expectTrouble(try run(["predict", scratch("tuned"), "missing.diff"]), "missing.diff")
      // In another order, they are other classes.
      let path = scratch("tuned/config.json")
      let text = try String(contentsOfFile: path, encoding: .utf8)
        .replacingOccurrences(of: #""0":"gut","1":"schlecht""#, with: #""0":"schlecht","1":"gut""#)
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      let turned = try run(["predict", scratch("tuned"), "the red river"])
      #expect(turned.code == 0 && turned.output != said.output)
      // The head of another class is not used, though its tensors have the same names.
      try text.replacingOccurrences(of: "ForSequenceClassification", with: "ForTokenClassification")
        .write(toFile: path, atomically: true, encoding: .utf8)
      expectTrouble(try run(["predict", scratch("tuned")]), "tuned", "--labels")
      expectTrouble(
        try run(["evaluate", scratch("tuned"), "--task", scratch("reviews.csv")]),
        "BertForTokenClassification", "--labels")
      try text.write(toFile: path, atomically: true, encoding: .utf8)

      // The rows have but one class: what is undefined is a dash, and null.
      try makeTable(scratch, "one.csv", rows: 1..<6)
      let one = try run(["evaluate", scratch("tuned"), "--task", scratch("one.csv"), "--json"])
      let scores = try JSONValue(parsing: Array(one.output.utf8))
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      #expect(schema.faults(scores, "evaluate") == [], "\(one.errors)")
      let absent = try #require(scores["classes"]?.elements?.last)
      #expect(absent["label"]?.text == "gut" && absent["rows"]?.double == 0)
      #expect(absent["recall"] == .null)
      let lines = try run(["evaluate", scratch("tuned"), "--task", scratch("one.csv")])
      let line = lines.output.split(separator: "\n").first { $0.hasPrefix("gut ") }
      #expect(line?.contains("–") == true, "\(lines.output)")
    }
  }

  @Test("a folder has the pooling and the maximum length of its task in its config.json")
  func settingsOfFolder() throws {
    try Scratch.with { scratch in
      try makeFolders(scratch, ["--pooling", "mean", "--max-length", "6"])
      let path = scratch("tuned/config.json")
      let config = try JSONValue(parsing: contents(ofFile: path))
      #expect(config["diffkit"]?.compact == #"{"pooling":"mean","max_length":6}"#)
      #expect(config["hidden_size"]?.unsigned == 64)
      func said(_ model: String...) throws -> Answer {
        try run(["predict"] + model + ["the red river, the old house", "--format", "jsonl", "-q"])
      }
      let expected = try said(scratch("hf"), scratch("task.diff"))
      expectSuccess(expected, "probabilities")
      #expect(try said(scratch("tuned")).output == expected.output)
      #expect(try said(scratch("tuned"), "--labels", "gut,schlecht").output == expected.output)
      // Both have an effect.
      let text = try String(contentsOfFile: path, encoding: .utf8)
      for (old, new) in [(#""mean""#, #""pooler""#), (#""max_length":6"#, #""max_length":60"#)] {
        try text.replacingOccurrences(of: old, with: new)
          .write(toFile: path, atomically: true, encoding: .utf8)
        let other = try said(scratch("tuned"))
        #expect(other.code == 0 && other.output != expected.output, "\(new)")
      }
      try text.replacingOccurrences(of: #""mean""#, with: #""most""#)
        .write(toFile: path, atomically: true, encoding: .utf8)
      expectTrouble(
        try said(scratch("tuned")), "config.json", "'diffkit'", "pooler, cls, mean", "3 ... 1048576"
      )
    }
  }

  @Test("a head without names of its classes is refused with the option that names them")
  func namelessClasses() throws {
    try Scratch.with { scratch in
      try makeFolders(scratch)
      let file = scratch("tuned/model.safetensors")
      try makeTable(scratch, "three.csv") { ["a", "b", "c"][$0 % 3] }
      expectTrouble(
        try run(["evaluate", file, "--task", scratch("three.csv"), "--labels", "a,b,c"]),
        "2 outputs", "3 classes", "--labels")
      expectTrouble(try run(["predict", file]), "--labels")
      expectTrouble(
        try run(["evaluate", scratch("hf"), "--task", scratch("three.csv")]), "names no classes",
        "a,b,c")
      try makeTable(scratch, "numbered.csv") { "\($0 % 2)" }
      let numbered = try run(["evaluate", file, "--task", scratch("numbered.csv")])
      #expect(numbered.code == 0, "\(numbered.errors)")
      expectTrouble(
        try run(["evaluate", file, "--task", scratch("reviews.csv")]), "gut,schlecht", "--labels")
    }
  }

  @Test("a vocabulary and a configuration that seem to be another model's are noted")
  func otherModel() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      #expect(try train(scratch, model.path, "-q").code == 0)
      func said() throws -> Answer {
        try run(["predict", model.path, scratch("task.diff"), "the red river"])
      }
      let before = try said()
      #expect((before.code, before.errors) == (0, ""))
      let vocabulary = try String(contentsOfFile: scratch("vocab.txt"), encoding: .utf8)
      let few = vocabulary.split(separator: "\n").prefix(20).joined(separator: "\n")
      for text in [vocabulary + "more\n", few] {
        try text.write(toFile: scratch("vocab.txt"), atomically: true, encoding: .utf8)
        let answer = try said()
        #expect(answer.code == 0 && answer.errors.contains("another model's?"), "\(answer.errors)")
      }

      // The base, with one layer more.
      _ = try TinyModel(scratch, layers: 2)
      let noted = try train(scratch, model.path, "-q", "--force", "--json")
      let notes = try JSONValue(parsing: Array(noted.output.utf8))["notes"]
      #expect(notes?.compact.contains("has 2 layers") == true, "\(noted.output)")
    }
  }

  @Test("a version of a store that is the result of a task has its config.json, as apply writes it")
  func storedTask() throws {
    try Scratch.with { scratch in
      try makeFolders(scratch)
      let store = scratch("runs")
      expectSuccess(try run(["store", "init", store, scratch("hf")]))
      expectSuccess(try run(["store", "add", store, scratch("task.diff"), "--name", "task"]))
      expectSuccess(try run(["store", "get", store, "task", "-o", scratch("got")]))
      expectSuccess(
        try run(["store", "switch", store, scratch("hf"), "task", "-o", scratch("switched")]))
      expectSuccess(try run(["store", "get", store, "base", "-o", scratch("base")]))
      for (made, model) in [("got", "tuned"), ("switched", "tuned"), ("base", "hf")] {
        #expect(
          try contents(ofFile: scratch(made + "/config.json"))
            == contents(ofFile: scratch(model + "/config.json")), "\(made)")
      }
    }
  }

  /// The members of the output, but for the notes.
  private func scores(_ answer: Answer) throws -> [JSONValue.Member] {
    try JSONValue(parsing: Array(answer.output.utf8)).members?.filter { $0.name != "notes" } ?? []
  }

  @Test("a diff that is applied already is reported, and the checkpoint is used as it is")
  func applied() throws {
    try Scratch.with { scratch in
      try makeFolders(scratch)
      let (task, diff) = (["--task", scratch("reviews.csv"), "--json"], scratch("task.diff"))
      let again = try run(["evaluate", scratch("tuned"), diff] + task)
      #expect(again.code == 0 && again.errors.contains("is at the result of the diff already"))
      #expect(again.errors.count(where: { $0 == "\n" }) == 1)
      let expected = try run(["evaluate", scratch("hf"), diff] + task)
      #expect(try scores(again) == scores(expected))
      let said = try run(["predict", scratch("tuned"), diff, "the red river"])
      #expect(said.code == 0 && said.errors.contains("is at the result of the diff already"))
      // Another diff is refused, and says so without a colon after the tensor.
      _ = try train(
        scratch, scratch("tuned"), "--density", "0.05", "-q", "--seed", "1", "--force")
      expectTrouble(
        try run(["evaluate", scratch("hf"), diff, "--task", scratch("reviews.csv")]),
        "tensor 'classifier.bias' is not")
    }
  }

  @Test("rows of each class are shown, and labels of a single row noted with their line")
  func balance() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch) { $0 == 7 ? "gud" : $0 % 6 == 0 ? "gut" : "schlecht" }
      let trained = try train(scratch, model.path)
      #expect(trained.code == 0)
      #expect(
        trained.errors.contains("reviews.csv: rows of each class: gud: 1, gut: 8, schlecht: 39\n"))
      #expect(
        trained.errors.contains("reviews.csv: line 9 is the only row with the label 'gud'"),
        "\(trained.errors)")
      // A column of ids is noted if it is named, else refused.
      for (option, words) in [("--text", "are numbers"), ("--label", "are these ids")] {
        let noted = try train(scratch, model.path, option, "id", "--force")
        #expect(noted.code == 0 && noted.errors.contains(words), "\(noted.errors)")
      }
      for (row, words, option) in [
        ({ "\($0 + 1000),\($0 % 2)" }, "no texts", "--text"),
        ({ "the red river,\($0 + 1000)" }, "no labels", "--label"),
        ({ "the red river,\(max(1, $0) + 1000)" }, "nearly each row", "--label"),
        ({ "the red river,0x\(String($0 + 1000, radix: 16))" }, "48 labels in 48 rows", "--label"),
      ] as [((Int) -> String, String, String)] {
        try (0..<48).map(row).joined(separator: "\n")
          .write(toFile: scratch("reviews.csv"), atomically: true, encoding: .utf8)
        expectTrouble(
          try train(scratch, model.path, "--force"), "reviews.csv", words, option)
      }
    }
  }

  @Test("columns of the table are kept beside the predictions")
  func keptColumns() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      #expect(try train(scratch, model.path, "-q").code == 0)
      let predict = ["predict", model.path, scratch("task.diff"), "-q"]
      func lines(_ input: String, _ more: String...) throws -> [String] {
        let answer = try run(predict + ["--input", scratch(input)] + more)
        #expect(answer.code == 0, "\(answer.errors)")
        return answer.output.split(separator: "\n").map(String.init)
      }
      let some = try lines("reviews.csv", "--keep", "id,shop", "--format", "csv")
      #expect(some[0].hasPrefix("id,shop,label,probability,"))
      #expect(some.count == 49 && some[1].hasPrefix("1000,Laden 0,"))
      let byNumber = try lines("reviews.csv", "--keep", "1", "--keep", "shop", "--format", "csv")
      #expect(byNumber == some)
      let all = try lines("reviews.csv", "--keep-all", "--format", "tsv")
      #expect(all[0].hasPrefix("id\tshop\tinput label\tlabel\tprobability\t"))
      #expect(all[2].hasPrefix("1001\tLaden 1\tschlecht\t"))
      #expect(try lines("reviews.csv", "--keep", "id")[0].hasPrefix("1000\t"))

      // JSON keeps its types.
      try #"{"id": 7, "text": "the red river", "tags": ["a"]}"#.write(
        toFile: scratch("rows.jsonl"), atomically: true, encoding: .utf8)
      let json = try JSONValue(
        parsing: Array(lines("rows.jsonl", "--keep-all", "--format", "jsonl")[0].utf8))
      #expect(json.members?.prefix(3).map(\.name) == ["id", "tags", "label"])
      #expect(json["id"] == .number("7") && json["tags"]?.compact == "[\"a\"]")
      let whole = try JSONValue(
        parsing: Array(
          lines("rows.jsonl", "--keep", "id", "--json").joined(separator: "\n").utf8))
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      #expect(schema.faults(whole, "predict") == [])
      #expect(whole["predictions"]?.elements?[0]["kept"]?["id"]?.text == "7")

      let every = try JSONValue(
        parsing: Array(lines("reviews.csv", "--keep-all", "--json").joined(separator: "\n").utf8))
      #expect(schema.faults(every, "predict") == [])
      let kept = try #require(every["predictions"]?.elements?[1]["kept"]?.members)
      #expect(Set(kept.map(\.name)) == ["id", "shop", "label"])

      // A member that the first line lacks is one of the columns.
      let rows = [#"{"text": "the red river"}"#, #"{"shop": 3, "text": "the big dog"}"#]
      try rows.joined(separator: "\n").write(
        toFile: scratch("later.jsonl"), atomically: true, encoding: .utf8)
      for keep in [["--keep-all"], ["--keep", "shop"]] {
        let answer = try run(
          predict + ["--input", scratch("later.jsonl"), "--format", "csv"] + keep)
        let lines = answer.output.split(separator: "\n")
        #expect(lines.count == 3 && lines[0].hasPrefix("shop,label,"), "\(answer.errors)")
        #expect(lines[1].hasPrefix(",") && lines[2].hasPrefix("3,"))
      }
      let piped = Answer(
        try ChildProcess.run(
          "sh",
          ["-c", "\"$0\" \"$@\" --input-format jsonl --keep-all <\(scratch("later.jsonl"))"]
            + [Diffkit.path] + predict))
      #expect(piped.code == 2 && piped.errors.contains("line 2 has the member 'shop'"))
      expectTrouble(
        try run(predict + ["--input", scratch("later.jsonl"), "--keep", "shup"]), "'shup'",
        "text, shop")

      expectTrouble(
        try run(predict + ["--input", scratch("reviews.csv"), "--keep", "none"]), "'none'",
        "id, text, shop, label")
      try "the red river\n".write(
        toFile: scratch("lines.txt"), atomically: true, encoding: .utf8)
      expectTrouble(
        try run(predict + ["--input", scratch("lines.txt"), "--keep", "id"]), "lines.txt",
        "no columns")
      #expect(try run(predict + ["the red river", "--keep", "id"]).errors.contains("--keep"))
      for options in [["--keep", ""], ["--keep", ","], ["-o", scratch("out.xlsx")]] {
        let answer = try run(predict + ["--input", scratch("reviews.csv")] + options)
        let word = options[0] == "-o" ? "out.xlsx" : "--keep"
        #expect(answer.code != 0 && answer.errors.contains(word))
      }
    }
  }

  @Test("settings and outputs are checked before anything is read")
  func checkedFirst() throws {
    try Scratch.with { scratch in
      for (options, word) in [
        (["--density", "5"], "density"), (["--lr", "0"], "learning rates"),
        (["--batch", "0"], "batches"), (["--epochs", "0"], "epoch"), (["--clip", "0"], "clipped"),
        (["--warm-up", "1"], "warm-up"), (["--max-length", "2"], "tokens"),
      ] {
        let answer = try run(
          ["train", scratch("none.h5"), "--task", scratch("none.tsv")] + options)
        expectTrouble(answer, word)
      }
      try #"[{"task": "a.tsv"}, {"task": "none.tsv", "options": {"density": 5}}]"#.write(
        toFile: scratch("tasks.json"), atomically: true, encoding: .utf8)
      expectTrouble(
        try run(["train", scratch("none.h5"), "--tasks", scratch("tasks.json")]), "tasks.json",
        "none.diff: ", "density")
      try makeFolder(scratch("folder"))
      for output in ["folder", "folder/", "other/"] {
        expectTrouble(
          try run([
            "train", scratch("none.h5"), "--task", scratch("none.tsv"), "-o", scratch(output),
          ]), output, "add the name of the file")
      }
      expectTrouble(
        try run([
          "predict", scratch("none.h5"), "none.diff", "-o", scratch("tasks.json"), "--format",
          "csv",
        ]), "tasks.json", "exists already", "--force")
      for (options, word) in [
        (["--metrics", "-"], "--metrics"), (["--meta", "diffkit.by=me"], "reserved"),
      ] {
        let answer = try run(
          ["train", scratch("none.h5"), "--task", scratch("none.tsv")] + options)
        #expect(answer.code != 0 && answer.errors.contains(word))
      }
      #expect(try scratch.names == ["folder", "tasks.json"])
    }
  }

  @Test("metrics have the shares of each layer, and the report reads them")
  func layers() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      #expect(
        try train(
          scratch, model.path, "--density", "0.02", "--metrics", scratch("m.jsonl"), "-q",
          "--dev", scratch("reviews.csv")
        ).code == 0)
      let rows = try String(contentsOfFile: scratch("m.jsonl"), encoding: .utf8)
        .split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)) }
      #expect(rows.count == 6)
      for row in rows {
        let layers = try #require(row["layers"]?.members)
        #expect(layers.map(\.name) == ["embeddings", "0", "pooler"])
        let isGated = row["stage"]?.text == "gates"
        let keys = isGated ? ["expected_density", "open_density"] : ["kept", "density"]
        for layer in layers { #expect(layer.value.members?.map(\.name) == keys) }
      }
      // The first gates are all open, but for the rows of tables that were not read.
      let first = try #require(rows[0]["layers"]?["0"]?["open_density"]?.double)
      #expect(first == 1)
      let kept = (rows[5]["layers"]?.members ?? []).compactMap { $0.value["kept"]?.double }
      let diff = try DiffReader(scratch("task.diff"))
      let values = diff.filter { if case .add = $0.operation { true } else { false } }
      #expect(kept.reduce(0, +) == Double(values.reduce(0) { $0 + $1.count }))
      expectSuccess(
        try run([
          "report", scratch("task.diff"), "--metrics", scratch("m.jsonl"), "-o",
          scratch("r.html"),
        ]))
      let page = try String(contentsOfFile: scratch("r.html"), encoding: .utf8)
      #expect(page.contains("accuracy") && page.contains("Share by layer over the steps"))
      for layer in ["embeddings", "0", "pooler"] {
        #expect(page.contains("<span class=\"name\">\(layer)</span>"))
      }
      try "".write(toFile: scratch("none.jsonl"), atomically: true, encoding: .utf8)
      expectTrouble(
        try run(["report", scratch("task.diff"), "--metrics", scratch("none.jsonl"), "--force"]),
        "none.jsonl", "no metrics")
      expectTrouble(
        try train(scratch, model.path, "--force", "--metrics", scratch("task.diff")), "task.diff")
      expectTrouble(
        try train(
          scratch, model.path, "-q", "--metrics", scratch("m.jsonl"), "-o", scratch("b.diff")),
        "m.jsonl", "--force")
    }
  }
}
