import DiffFormat
import Foundation
import StrictJSON
import Testing
import TestSupport

/// `train`, `evaluate` and `predict` on the samples.
@Suite(.serialized) struct TrainCommandTests {
  private static let samples = Repository.path + "/samples"
  private static let base = samples + "/minilm-l3-small/base.h5"
  private static let task = samples + "/sms-spam/train.tsv"

  /// The first rows of the task, for training and for evaluation.
  private func makeTask(_ scratch: Scratch) throws {
    let text = try String(contentsOfFile: Self.task, encoding: .utf8)
    let lines = text.split(separator: "\n")
    try lines.prefix(192).joined(separator: "\n")
      .write(toFile: scratch("train.tsv"), atomically: true, encoding: .utf8)
    try lines[200..<300].joined(separator: "\n")
      .write(toFile: scratch("dev.tsv"), atomically: true, encoding: .utf8)
  }

  private func arguments(_ scratch: Scratch, _ name: String, _ more: String...) -> [String] {
    [
      "train", Self.base, "--task", scratch("train.tsv"), "--dev", scratch("dev.tsv"), "-o",
      scratch(name + ".diff"), "--metrics", scratch(name + ".jsonl"), "--epochs", "2",
      "--fixed-epochs", "1", "--threads", "2", "-q",
    ] + more
  }

  @Test("the score printed by train is that of evaluate; the diff has ⌊density · elements⌋ values")
  func scoresAreThoseOfTheFile() throws {
    try Scratch.with { scratch in
      try makeTask(scratch)
      let child = try ChildProcess.run(
        Diffkit.path, arguments(scratch, "task", "--density", "0.001"))
      #expect(child.ending == .exit(0), "\(String(decoding: child.errors, as: UTF8.self))")
      let diff = try DiffReader(scratch("task.diff"))
      let added = diff.filter { if case .add = $0.operation { true } else { false } }
      #expect(added.reduce(0) { $0 + $1.count } == 7825)
      let answer = try Diffkit.run(
        "evaluate", Self.base, scratch("task.diff"), "--task", scratch("dev.tsv"), "--json")
      expectSuccess(answer, "\"accuracy\"", "\"matthews\"")
      let scores = try answer.scores
      #expect(scores["accuracy"].map { "\($0)" } == diff.metadata["score.accuracy"])
      #expect(scores["examples"] == 100)
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      let said = try Diffkit.run(
        "predict", Self.base, scratch("task.diff"), "Ok", "Call now", "--json")
      for (answer, definition) in [(answer, "evaluate"), (said, "predict")] {
        let value = try JSONValue(parsing: Array(answer.output.utf8))
        #expect(schema.faults(value, definition) == [])
      }

      let text = try Diffkit.run(
        "predict", Self.base, scratch("task.diff"), "Ok, see you at home", "Call now to win")
      expectSuccess(text, "\tOk, see you at home\n", "\tCall now to win\n")
      try write(
        Array("Ok, see you at home\r\nCall now to win\r\n".utf8), toFile: scratch("texts"))
      let fromFile = try Diffkit.run(
        "predict", Self.base, scratch("task.diff"), "--input", scratch("texts"))
      #expect(fromFile.output == text.output)
      // The base has no pooler, and the diff records the pooling that it was trained with.
      #expect(diff.metadata["task.pooling"] == "mean")

      let again = try Diffkit.run(
        "train", Self.base, "--from", scratch("task.diff"), "-o", scratch("again.diff"),
        "--json")
      // Notes are printed with --json, too.
      #expect(
        again.code == 0
          && again.errors.contains("no pooler: texts are pooled by the mean of their tokens\n"),
        "\(again.errors)")
      // Also a text that is truncated, gates that so short a training does not close, and a loss that
      // it does not bring back.
      #expect(again.errors.count(where: { $0 == "\n" }) == 4)
      let made = try JSONValue(parsing: Array(again.output.utf8))
      #expect(schema.faults(made, "train") == [])
      #expect(made["scores"]?["accuracy"]?.double == scores["accuracy"])
      #expect(made["notes"]?.elements?.count == 4)
      #expect(
        try contents(ofFile: scratch("again.diff")) == contents(ofFile: scratch("task.diff")))
      try "Ok\tham\nWin a prize\tspam\n".write(
        toFile: scratch("train.tsv"), atomically: true, encoding: .utf8)
      expectTrouble(
        try Diffkit.run(
          "train", Self.base, "--from", scratch("task.diff"), "-o", scratch("other.diff"), "-q"),
        "train.tsv", "not the rows")
      expectSuccess(
        try Diffkit.run("apply", Self.base, scratch("task.diff"), "-o", scratch("tuned.h5")))
      let other = try Diffkit.run(
        "train", scratch("tuned.h5"), "--from", scratch("task.diff"), "-o",
        scratch("other.diff"), "--config", Self.samples + "/minilm-l3-small/config.json",
        "--vocab", Self.samples + "/minilm-l3-small/vocab.txt")
      #expect(other.errors.contains("tuned.h5: is not the checkpoint that"), "\(other.errors)")
      #expect(other.code == 2)
    }
  }

  @Test("quickstart trains, applies and evaluates, and prints the commands")
  func quickstart() throws {
    try Scratch.with { scratch in
      try makeTask(scratch)
      for name in ["train.tsv", "dev.tsv"] {
        let lines = try String(contentsOfFile: scratch(name), encoding: .utf8)
          .split(separator: "\n")
        try lines.prefix(64).joined(separator: "\n")
          .write(toFile: scratch(name), atomically: true, encoding: .utf8)
      }
      let files = FileManager.default
      try files.createDirectory(
        atPath: scratch("samples/sms-spam"), withIntermediateDirectories: true)
      for name in ["train.tsv", "dev.tsv"] {
        try files.moveItem(atPath: scratch(name), toPath: scratch("samples/sms-spam/\(name)"))
      }
      try files.createSymbolicLink(
        atPath: scratch("samples/minilm-l3-small"),
        withDestinationPath: Self.samples + "/minilm-l3-small")
      let answer = try Diffkit.run(
        "quickstart", scratch("made"), "--samples", scratch("samples"))
      #expect(answer.code == 0, "\(answer.errors)")
      for text in [
        "$ diffkit train", "$ diffkit apply", "is the result, the diff is already applied",
        "0.5 % diff", "all weights", "report.html",
      ] { #expect(answer.output.contains(text), "\(text)") }
      #expect(!answer.output.contains("\\u{"), "\(answer.output)")
      let made = Scratch(path: scratch("made"))
      #expect(try made.names == ["full.diff", "report.html", "sms.diff", "sms.h5"])
      // The score of the table is that of the file.
      let scores = try Diffkit.run(
        "evaluate", Self.base, made("sms.diff"), "--task", scratch("samples/sms-spam/dev.tsv"))
      let line = scores.output.split(separator: "\n").first { $0.hasPrefix("accuracy") }
      let accuracy = try #require(line?.split(separator: " ").last)
      #expect(
        answer.output.split(separator: "\n").contains {
          $0.hasPrefix("0.5 % diff") && $0.contains(accuracy)
        })
      let told = try Diffkit.run(
        "quickstart", scratch("told"), "--samples", scratch("samples"), "--json")
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      #expect(
        schema.faults(try JSONValue(parsing: Array(told.output.utf8)), "quickstart") == [],
        "\(told.errors)")
    }
  }

  @Test("unusable input is one line of error, and nothing is written")
  func troubleIsTold() throws {
    try Scratch.with { scratch in
      try makeTask(scratch)
      let output = scratch("task.diff")
      func train(_ more: String...) throws -> Answer {
        let all = ["train", Self.base, "-o", output, "-q"] + more
        return Answer(try ChildProcess.run("timeout", ["60", Diffkit.path] + all))
      }
      expectTrouble(try train("--task", scratch("none.tsv")), "none.tsv")
      try "no label here\n".write(
        toFile: scratch("bad.tsv"), atomically: true, encoding: .utf8)
      expectTrouble(try train("--task", scratch("bad.tsv")), "bad.tsv")
      expectTrouble(
        try train("--task", scratch("train.tsv"), "--vocab", scratch("none.txt")), "none.txt")
      expectTrouble(
        try train("--task", scratch("train.tsv"), "--density", "0"), "density")
      expectTrouble(try train("--task", scratch("train.tsv"), "--clip", "inf"), "gradients")
      expectTrouble(
        try train("--task", scratch("train.tsv"), "--lr", "1e30", "--method", "full"), "diverged")
      expectTrouble(try train("--task", scratch("train.tsv"), "--resume"), "task.diff.state")
      expectTrouble(try train("--task", scratch("train.tsv"), "--metrics", output), "metrics")
      try "[{\"task\": 7}]".write(
        toFile: scratch("tasks.json"), atomically: true, encoding: .utf8)
      let list = try Diffkit.run("train", Self.base, "--tasks", scratch("tasks.json"))
      expectTrouble(list, "tasks.json", "'task'")
      #expect(try scratch.names == ["bad.tsv", "dev.tsv", "tasks.json", "train.tsv"])
    }
  }
}
