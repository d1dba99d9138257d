import DiffFormat
import Foundation
import Testing
import TestSupport

/// `train --tasks`: pairs of texts, and numbers, from tables with and without a header.
@Suite struct SeveralTasksTests {
  private let words = ["red river", "old house", "big dog", "blue sea", "green road", "king cat"]

  /// Writes two tables and the list of them.
  private func makeTasks(
    _ scratch: Scratch, outputs: [String] = ["pairs.diff", "numbers.diff"]
  ) throws {
    let pairs = (0..<48).map { number in
      let (first, second) = (words[number % 6], words[number / 2 % 6])
      return "\(number)\tthe \(first)\t\(first == second ? "same" : "other")\tthe \(second)"
    }
    try (["id\tone\tlabel\ttwo"] + pairs).joined(separator: "\n")
      .write(toFile: scratch("pairs.tsv"), atomically: true, encoding: .utf8)
    let numbers = (0..<48).map { "the \(words[$0 % 6]) was red\t\(Double($0 % 6) / 4)" }
    try numbers.joined(separator: "\n")
      .write(toFile: scratch("numbers.tsv"), atomically: true, encoding: .utf8)
    try """
    {"tasks": [
      {"task": "\(scratch("pairs.tsv"))", "dev": "\(scratch("pairs.tsv"))",
       "output": "\(scratch(outputs[0]))", "texts": ["one", "two"], "label": "label"},
      {"task": "\(scratch("numbers.tsv"))", "dev": "\(scratch("numbers.tsv"))",
       "output": "\(scratch(outputs[1]))", "pooling": "mean",
       "options": {"method": "bitfit", "fixedEpochs": 20, "fixedLearningRate": 0.01}}
    ]}
    """.write(toFile: scratch("tasks.json"), atomically: true, encoding: .utf8)
  }

  private func run(_ arguments: [String]) throws -> Answer {
    Answer(try ChildProcess.run("timeout", ["60", Diffkit.path] + arguments))
  }

  private func train(_ scratch: Scratch, _ model: TinyModel, _ more: String...) throws -> Answer {
    try run(
      [
        "train", model.path, "--tasks", scratch("tasks.json"), "--method", "full", "--epochs",
        "30", "--lr", "2e-3", "--lr-head", "1e-2", "--batch", "4", "--no-dropout", "--threads",
        "2",
      ] + more)
  }

  @Test("each task has a diff, with the scores of evaluate; finished ones are kept")
  func tasks() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTasks(scratch)
      let trained = try train(scratch, model, "-q")
      #expect(trained.code == 0, "\(trained.errors)")
      let named = ["--text", "one", "--text", "two", "--label", "label"]
      for (name, columns, kind, score) in [
        ("pairs", named, "classification", "accuracy"), ("numbers", [], "regression", "pearson"),
      ] {
        let diff = scratch(name + ".diff")
        let answer = try run(
          ["evaluate", model.path, diff, "--task", scratch(name + ".tsv"), "--json"] + columns)
        #expect(answer.code == 0, "\(answer.errors)")
        let scores = try answer.scores
        let metadata = try DiffReader(diff).metadata
        #expect(metadata["task.kind"] == kind)
        #expect(scores["examples"] == 48)
        #expect(scores[score].map { "\($0)" } == metadata["score." + score])
        #expect(try #require(scores[score]) > 0.8, "\(name): \(scores)")
      }
      let pairs = ["the red river\tthe red river", "the big dog\tthe old house"]
      let said = try run(["predict", model.path, scratch("pairs.diff")] + pairs)
      expectSuccess(said, "\t" + pairs[0], "\t" + pairs[1])
      expectTrouble(
        try run(["predict", model.path, scratch("pairs.diff"), "one text"]), "no tab")
      for (diff, rows, word) in [
        ("pairs.diff", "a\tsame\nb\tother\n", "about pairs"),
        ("numbers.diff", "a\tb\t1.5\nb\ta\t2.5\n", "has pairs"),
      ] {
        try rows.write(toFile: scratch("other.tsv"), atomically: true, encoding: .utf8)
        expectTrouble(
          try run(["evaluate", model.path, scratch(diff), "--task", scratch("other.tsv")]), word)
      }
      let number = try Diffkit.run(
        "predict", model.path, scratch("numbers.diff"), "the king cat was red")
      let value = try #require(number.output.split(separator: "\t").first.flatMap { Double($0) })
      #expect(value > 0.6, "\(number.output)")

      let before = try contents(ofFile: scratch("pairs.diff"))
      try FileManager.default.removeItem(atPath: scratch("numbers.diff"))
      let again = try train(scratch, model, "--resume")
      #expect(again.code == 0 && again.errors.contains("pairs.diff: is finished"))
      #expect(try contents(ofFile: scratch("pairs.diff")) == before)
      #expect(scratch.exists("numbers.diff"))
      // The result of another training does not count as finished.
      try "old".write(toFile: scratch("pairs.diff"), atomically: true, encoding: .utf8)
      let over = try train(scratch, model, "--resume", "--force")
      #expect(over.code == 0 && over.errors.contains("numbers.diff: is finished"))
      #expect(try contents(ofFile: scratch("pairs.diff")) == before)
    }
  }

  @Test("outputs that cannot be written are reported before training")
  func outputsAreOpenedFirst() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try makeTasks(scratch, outputs: ["one.diff", "no/folder.diff"])
      expectTrouble(try train(scratch, model, "-q"), "no/folder.diff")
      try makeTasks(scratch, outputs: ["one.diff", "one.diff"])
      expectTrouble(try train(scratch, model, "-q"), "tasks.json", "one.diff")
      #expect(!scratch.exists("one.diff"))
    }
  }
}
