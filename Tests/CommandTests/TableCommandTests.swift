import DiffFormat
import Foundation
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// From a table of texts to a model in use, on a model of one layer.
@Suite(.serialized) struct TableCommandTests {
  private static let words = [
    "red river", "old house", "big dog", "blue sea", "green road", "king cat",
  ]

  /// 48 rows as in a spreadsheet: a number, a text with quotes, commas and umlauts, a shop, and a
  /// label, one of which is rare.
  private func makeTable(_ scratch: Scratch) throws {
    let rows = (0..<48).map { number in
      let text = "the \(Self.words[number % 6]), \"\"süß\"\" \(Self.words[number / 6 % 6])"
      return
        "\(number + 1000),\"\(text)\",Laden \(number % 3),\(number % 6 == 0 ? "gut" : "schlecht")"
    }
    try (["nummer,bewertung,laden,urteil"] + rows).joined(separator: "\n")
      .write(toFile: scratch("reviews.csv"), atomically: true, encoding: .utf8)
  }

  private func run(_ arguments: [String]) throws -> Answer {
    Answer(try ChildProcess.run("timeout", ["60", Diffkit.path] + arguments))
  }

  private func train(
    _ scratch: Scratch, _ model: TinyModel, _ more: String..., quiet: Bool = true
  ) throws -> Answer {
    try run(
      [
        "train", model.path, "--task", scratch("reviews.csv"), "--text", "bewertung", "--label",
        "urteil", "-o", scratch("task.diff"), "--method", "full", "--epochs", "20", "--lr", "2e-3",
        "--lr-head", "1e-2", "--batch", "4", "--no-dropout", "--threads", "2",
      ] + (quiet ? ["-q"] : []) + more)
  }

  @Test("four columns: trained, scored by class and predicted with all probabilities")
  func table() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      expectTrouble(
        try run(
          ["train", model.path, "--task", scratch("reviews.csv"), "--label", "urteil", "-q"]),
        "nummer, bewertung, laden, urteil", "--text")
      let trained = try train(
        scratch, model, "--dev", scratch("reviews.csv"), "--class-weights", "balanced", "--best",
        "--meta", "by=me")
      #expect(trained.code == 0, "\(trained.errors)")
      #expect(!scratch.exists("task.diff.state.best") && !scratch.exists("task.diff.state"))
      let diff = scratch("task.diff")
      #expect(try DiffReader(diff).metadata["by"] == "me")

      // The columns are those of the training.
      let scored = try run(
        [
          "evaluate", model.path, diff, "--task", scratch("reviews.csv"), "--json", "--threads",
          "1",
        ])
      #expect(scored.code == 0, "\(scored.errors)")
      let scores = try JSONValue(parsing: Array(scored.output.utf8))
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      #expect(schema.faults(scores, "evaluate") == [])
      let classes = try #require(scores["classes"]?.elements)
      #expect(classes.map { $0["label"]?.text } == ["gut", "schlecht"])
      #expect(classes.map { $0["rows"]?.double } == [8, 40])
      let confusion = (scores["confusion"]?.elements ?? []).map {
        ($0.elements ?? []).compactMap(\.double)
      }
      #expect(confusion.map { $0.reduce(0, +) } == [8, 40])
      let right = (confusion[0][0] + confusion[1][1]) / 48
      #expect(scores["accuracy"]?.double == right && right > 0.9)
      #expect(classes[0]["recall"]?.double == confusion[0][0] / 8)
      let text = try run(["evaluate", model.path, diff, "--task", scratch("reviews.csv")])
      expectSuccess(text, "f1 of 'schlecht'", "precision", "and predicted as")

      let predicted = try run([
        "predict", model.path, diff, "--input", scratch("reviews.csv"), "-o", scratch("out.csv"),
      ])
      #expect(predicted.code == 0 && predicted.errors.contains("'bewertung'"))
      let rows = try String(contentsOfFile: scratch("out.csv"), encoding: .utf8)
        .split(separator: "\n")
      #expect(rows.count == 49)
      #expect(
        rows[0] == "label,probability,probability of gut,probability of schlecht,text")
      #expect(rows[1].hasSuffix(",\"the red river, \"\"süß\"\" red river\""))
      let fields = rows[1].split(separator: ",")
      let shares = fields[2...3].compactMap { Double($0) }
      #expect(abs(shares.reduce(0, +) - 1) < 1e-5 && Double(fields[1]) == shares.max())
      let lines = try run([
        "predict", model.path, diff, "the red river", "the big dog", "--format", "jsonl",
      ])
      #expect(lines.code == 0)
      let objects = try lines.output.split(separator: "\n").map {
        try JSONValue(parsing: Array($0.utf8))
      }
      #expect(objects.map { $0["text"]?.text } == ["the red river", "the big dog"])
      #expect(objects[0]["probabilities"]?.members?.map(\.name) == ["gut", "schlecht"])
      expectTrouble(
        try run([
          "predict", model.path, diff, "--input", scratch("reviews.csv"), "-o",
          scratch("out.csv"),
        ]), "out.csv", "--force")

      // The same with a checkpoint of the result.
      expectSuccess(try run(["apply", model.path, diff, "-o", scratch("tuned.safetensors")]))
      let plain = try run([
        "evaluate", scratch("tuned.safetensors"), "--labels", "gut,schlecht", "--task",
        scratch("reviews.csv"), "--text", "bewertung", "--label", "urteil", "--json",
      ])
      #expect(plain.output == scored.output)
      let said = try run([
        "predict", scratch("tuned.safetensors"), "--labels", "gut,schlecht", "the red river",
      ])
      expectSuccess(said, "\tthe red river\n")
      #expect(said.output == (try run(["predict", model.path, diff, "the red river"])).output)
    }
  }

  @Test("neither header, nor ids, nor labels of a table are taken for texts")
  func tables() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      #expect(try train(scratch, model).code == 0)
      func texts(_ name: String, _ contents: String, _ more: String...) throws -> Answer {
        try contents.write(toFile: scratch(name), atomically: true, encoding: .utf8)
        return try run(
          ["predict", model.path, scratch("task.diff"), "--input", scratch(name), "-q"] + more)
      }
      func said(_ answer: Answer) -> [String] {
        answer.output.split(separator: "\n").map { String($0.drop { $0 != "\t" }.dropFirst()) }
      }
      for (name, contents) in [
        ("a.csv", "id,text,label\n1,one,gut\n2,two,schlecht\n"),
        ("b.tsv", "one\tgut\ntwo\tschlecht\n"), ("c.csv", "text\none\ntwo\n"),
        ("d.jsonl", "{\"id\": 1, \"text\": \"one\"}\n{\"id\": 2, \"text\": \"two\"}\n"),
        ("e.txt", "one\ntwo\n"), ("f.csv", "laden,bewertung\nx,one\ny,two\n"),
      ] {
        let answer = try texts(name, contents)
        #expect(answer.code == 0, "\(name): \(answer.errors)")
        #expect(said(answer) == ["one", "two"], "\(name)")
      }
      let unknown = try texts("g.tsv", "one\tsome\ntwo\tthing\n")
      expectTrouble(unknown, "g.tsv", "2 columns", "--text")
      #expect(said(try texts("g.tsv", "one\tsome\ntwo\tthing\n", "--text", "1")) == ["one", "two"])
    }
  }

  @Test("lines from a pipe are answered before the pipe ends")
  func streaming() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      #expect(try train(scratch, model).code == 0)
      // The second line is sent after the first answer has arrived.
      let script = """
        mkfifo "$3/go"
        { echo 'the red river'; read word < "$3/go"; echo 'the big dog'; } |
          "$0" predict "$1" "$2" |
          { read first; echo go > "$3/go"; echo "$first"; cat; }
        """
      let child = try ChildProcess.run(
        "timeout",
        [
          "60", "sh", "-c", script, Diffkit.path, model.path, scratch("task.diff"),
          scratch.path,
        ])
      #expect(child.ending == .exit(0), "\(String(decoding: child.errors, as: UTF8.self))")
      let lines = String(decoding: child.output, as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 2 && lines[1].hasSuffix("\tthe big dog"))
      let closed = try ChildProcess.run(
        "sh",
        [
          "-c", "yes 'the red river' | head -n 20000 | \"$0\" predict \"$1\" \"$2\" | head -n 1",
          Diffkit.path, model.path, scratch("task.diff"),
        ])
      #expect(String(decoding: closed.errors, as: UTF8.self) == "")
    }
  }

  @Test("neither a saved state nor an output that appears meanwhile is deleted")
  func nothingIsLost() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      try write(Array("state".utf8), toFile: scratch("task.diff.state"))
      expectTrouble(try train(scratch, model), "task.diff.state", "--resume", "--anew")
      #expect(try contents(ofFile: scratch("task.diff.state")) == Array("state".utf8))
      try write(Array("{}\n".utf8), toFile: scratch("m.jsonl"))
      #expect(try train(scratch, model, "--anew", "--metrics", scratch("m.jsonl")).code == 0)
      #expect(!scratch.exists("task.diff.state"))
      #expect(try contents(ofFile: scratch("m.jsonl")).starts(with: Array("{\"step\":1,".utf8)))
      try remove(scratch("task.diff"))
      // A state is saved at the end of every step; the output appears when the first state
      // exists.
      let script = """
        out="$1"; shift
        "$0" "$@" & child=$!
        while [ ! -e "$out.state" ]; do sleep 0.01; done
        echo other > "$out"
        wait $child
        """
      let arguments = [
        "train", model.path, "--task", scratch("reviews.csv"), "--text", "bewertung", "--label",
        "urteil", "-o", scratch("task.diff"), "--method", "full", "--epochs", "60", "--batch", "4",
        "--threads", "2", "-q", "--save-every", "1e-9",
      ]
      let answer = Answer(
        try ChildProcess.run(
          "timeout", ["60", "sh", "-c", script, Diffkit.path, scratch("task.diff")] + arguments))
      expectTrouble(answer, "task.diff", "task.2.diff")
      #expect(try contents(ofFile: scratch("task.diff")) == Array("other\n".utf8))
      #expect(try DiffReader(scratch("task.2.diff")).metadata["task.kind"] == "classification")
      #expect(!scratch.exists("task.diff.state"))
    }
  }

  @Test("notes are printed with --json, and nothing with --quiet")
  func notes() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      let noted = try train(scratch, model, "--max-length", "6", "--json", quiet: false)
      #expect(noted.code == 0)
      let json = try JSONValue(parsing: Array(noted.output.utf8))
      let notes = (json["notes"]?.elements ?? []).compactMap(\.text)
      #expect(notes.count == 1 && notes[0].hasSuffix("48 texts are truncated to 6 tokens"))
      #expect(noted.errors == notes[0] + "\n")
      let silent = try train(scratch, model, "--max-length", "6", "--force")
      #expect((silent.code, silent.output, silent.errors) == (0, "", ""))
    }
  }

  @Test("a grid is a task for each combination, with a headline each and a table at the end")
  func grid() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      try """
      [{"task": "\(scratch("reviews.csv"))", "dev": "\(scratch("reviews.csv"))",
        "texts": ["bewertung"], "label": "urteil", "output": "\(scratch("g.diff"))",
        "options": {"epochs": 1, "fixedEpochs": 1},
        "grid": {"seed": [0, 1], "density": [0.01, 0.02]}}]
      """.write(toFile: scratch("tasks.json"), atomically: true, encoding: .utf8)
      let answer = try run([
        "train", model.path, "--tasks", scratch("tasks.json"), "--metrics", scratch("m.jsonl"),
        "--threads", "2",
      ])
      #expect(answer.code == 0, "\(answer.errors)")
      let name = "g.seed-1.density-0.02"
      let diff = try DiffReader(scratch(name + ".diff"))
      #expect(diff.metadata["train.settings"]?.contains("\"seed\":1") == true)
      #expect(answer.errors.contains("\(name).diff (4 of 4)"))
      let last = try #require(answer.output.split(separator: "\n").last)
      #expect(last.contains(name) && last.contains("2.00 %"))
      let lines = try String(contentsOfFile: scratch("m.\(name).jsonl"), encoding: .utf8)
      #expect(lines.split(separator: "\n").count == 6)
    }
  }

  @Test("a diff made from a diff keeps the task with the head, but no scores")
  func madeOfDiffs() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      let made = try run([
        "train", model.path, "--task", scratch("reviews.csv"), "--dev", scratch("reviews.csv"),
        "--text", "bewertung", "--label", "urteil", "-o", scratch("task.diff"), "--epochs", "1",
        "--fixed-epochs", "1", "--density", "0.05", "--threads", "2", "-q",
      ])
      #expect(made.code == 0, "\(made.errors)")
      let diff = scratch("task.diff")
      let commands: [(name: String, words: [String], keepsTask: Bool)] = [
        ("scaled", ["scale", diff, "0.5"], true),
        ("pruned", ["prune", diff, "--density", "0.01"], true),
        ("merged", ["merge", diff, diff], true),
        ("body", ["extract", diff, "--except", "classifier.*"], false),
        ("layer", ["extract", diff, "--except", "pooler.*"], true),
      ]
      for (name, words, keepsTask) in commands {
        let path = scratch(name + ".diff")
        let answer = try run(words + ["-o", path, "-q", "--meta", "note=mine", "--meta", "a=b"])
        #expect(answer.code == 0, "\(name): \(answer.errors)")
        let metadata = try DiffReader(path).metadata
        #expect(metadata["note"] == "mine" && metadata["a"] == "b", "\(name)")
        #expect((metadata["task.labels"] != nil) == keepsTask, "\(name)")
        let stale = metadata.keys.filter { $0.hasPrefix("score.") || $0.hasPrefix("train.") }
        #expect(stale == [], "\(name)")
        if keepsTask {
          let said = try run(["predict", model.path, path, "the red river"])
          #expect(said.code == 0, "\(name): \(said.errors)")
        }
      }
    }
  }

  @Test("a folder is a base; its copy has a config.json for the task")
  func folder() throws {
    try Scratch.with { scratch in
      _ = try TinyModel(scratch)
      try makeTable(scratch)
      try makeFolder(scratch("hf"))
      let files = FileManager.default
      for (from, to) in [
        ("base.safetensors", "model.safetensors"), ("config.json", "config.json"),
        ("vocab.txt", "vocab.txt"),
      ] { try files.moveItem(atPath: scratch(from), toPath: scratch("hf/" + to)) }
      let folder = scratch("hf")
      let trained = try run([
        "train", folder, "--task", scratch("reviews.csv"), "--text", "bewertung", "--label",
        "urteil", "-o", scratch("task.diff"), "--method", "bitfit", "--fixed-epochs", "1", "-q",
      ])
      #expect(trained.code == 0, "\(trained.errors)")
      expectSuccess(
        try run([
          "apply", folder, scratch("task.diff"), "-o", scratch("tuned"), "--undo",
          scratch("undo.diff"),
        ]))
      let config = try JSONValue(parsing: contents(ofFile: scratch("tuned/config.json")))
      #expect(config["id2label"]?.compact == "{\"0\":\"gut\",\"1\":\"schlecht\"}")
      #expect(config["num_labels"]?.unsigned == 2)
      #expect(config["architectures"]?.compact == "[\"BertForSequenceClassification\"]")
      #expect(config["hidden_size"]?.unsigned == 64)
      // The way back leaves it.
      expectSuccess(
        try run(["apply", scratch("tuned"), scratch("undo.diff"), "-o", scratch("undone")]),
        "config.json is a copy")
      // A head with another number of labels is replaced by a reshape.
      let rows = (0..<12).map { "the \(Self.words[$0 % 6])\t\($0 % 3)" }.joined(separator: "\n")
      try rows.write(toFile: scratch("three.tsv"), atomically: true, encoding: .utf8)
      let again = try run([
        "train", scratch("tuned"), "--task", scratch("three.tsv"), "--dev", scratch("three.tsv"),
        "-o", scratch("three.diff"), "--method", "bitfit", "--fixed-epochs", "1",
      ])
      #expect(again.code == 0 && again.errors.contains("it is replaced"), "\(again.errors)")
      let head = try #require(DiffReader(scratch("three.diff")).entry(named: "classifier.weight"))
      #expect(head.operation.name == "reshape")
      let scored = try run([
        "evaluate", scratch("tuned"), scratch("three.diff"), "--task", scratch("three.tsv"),
        "--json",
      ])
      #expect(
        try scored.scores["accuracy"].map { "\($0)" }
          == DiffReader(scratch("three.diff")).metadata["score.accuracy"])
      // It works in both directions.
      expectSuccess(
        try run([
          "extract", scratch("three.diff"), "--tensors", "classifier.*", "-o", scratch("head.diff"),
        ]))
      expectSuccess(
        try run(["apply", scratch("tuned"), scratch("head.diff"), "-o", scratch("three")]))
      expectSuccess(
        try run(["revert", scratch("three"), scratch("head.diff"), "-o", scratch("back")]))
      expectSuccess(
        try run(["verify", scratch("head.diff"), scratch("back")]), "is the base")
      try remove(scratch("hf/vocab.txt"))
      expectTrouble(
        try run([
          "train", folder, "--task", scratch("three.tsv"), "-o", scratch("no.diff"), "-q",
        ]), "hf", "no tokenizer")
    }
  }

  @Test("a head of another element type is refused with the remedy to drop it")
  func headOfAnotherType() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTable(scratch)
      #expect(try train(scratch, model).code == 0)
      let tuned = scratch("tuned.safetensors")
      expectSuccess(try run(["apply", model.path, scratch("task.diff"), "-o", tuned]))
      let half = scratch("half.safetensors")
      expectSuccess(try run(["convert", tuned, half, "--type", "bf16"]))
      let arguments = [
        "--task", scratch("reviews.csv"), "--text", "bewertung", "--label", "urteil", "--method",
        "bitfit", "--fixed-epochs", "1", "-o", scratch("other.diff"), "-q",
      ]
      expectTrouble(
        try run(["train", half] + arguments), "half.safetensors", "bf16",
        "--except 'classifier.*'")
      let bare = scratch("bare.safetensors")
      expectSuccess(try run(["convert", half, bare, "--except", "classifier.*"]))
      let trained = try run(["train", bare] + arguments)
      #expect(trained.code == 0, "\(trained.errors)")
      expectTrouble(try run(["convert", half, scratch("x.h5"), "--except", "none*"]), "none*")
    }
  }
}
