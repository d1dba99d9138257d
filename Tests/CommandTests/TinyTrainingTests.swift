import Checkpoints
import DiffFormat
import DiffOperations
import Foundation
import RemoteFiles
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// `train`, `evaluate` and `predict` on a model of one layer, on any machine.
@Suite(.serialized) struct TinyTrainingTests {
  @Test(
    "a run that is killed and resumed repeatedly ends like one that is not",
    .enabled(if: Fault.library != nil, "needs a C compiler and LD_PRELOAD"))
  func killedRunsGoOn() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      let arguments = try arguments(scratch, model)
      let whole = try ChildProcess.run(Diffkit.path, arguments("whole", []))
      #expect(whole.ending == .exit(0), "\(String(decoding: whole.errors, as: UTF8.self))")
      var random = SplitMix64(seed: TestSeed.value)
      // A state is saved at every step, so that many kills come long before the end, the first ones
      // perhaps before there is a state.
      var (resumed, latest) = (0, UInt64(50))
      while resumed < 5 {
        let resuming = scratch.exists("parts.diff.state") ? ["--resume"] : []
        resumed += resuming.count
        let call = Int(latest + random.next() % latest)
        let child = try Fault(folder: scratch, kind: .kill).run(
          arguments("parts", ["--save-every", "1e-9", "--force"] + resuming), at: call)
        #expect(child?.ending == .signal(9), "seed \(TestSeed.value), call \(call)")
        try #require(child != nil)
        if !scratch.exists("parts.diff.state") { latest *= 2 }
      }
      let last = try ChildProcess.run(Diffkit.path, arguments("parts", ["--force", "--resume"]))
      #expect(last.ending == .exit(0), "seed \(TestSeed.value)")
      try expectSame(scratch, "parts", "whole")
      #expect(!scratch.exists("parts.diff.state"))
    }
  }

  /// Makes a random task; returns the arguments that train a diff with a name in 300 steps.
  private func arguments(
    _ scratch: Scratch, _ model: TinyModel
  ) throws -> (_ name: String, _ more: [String]) -> [String] {
    let words = ["red river", "old house", "big dog", "blue sea", "green road", "king cat"]
    let rows = (0..<120).map { "the \(words[$0 % 6]) was in \(words[$0 / 6 % 6])\t\($0 % 2)" }
    try rows.joined(separator: "\n")
      .write(toFile: scratch("train.tsv"), atomically: true, encoding: .utf8)
    return { name, more in
      [
        "train", model.path, "--task", scratch("train.tsv"), "-o", scratch(name + ".diff"),
        "--metrics", scratch(name + ".jsonl"), "--epochs", "3", "--fixed-epochs", "2",
        "--batch", "2", "--threads", "2", "-q",
      ] + more
    }
  }

  @Test("all settings are stored, and --from repeats them")
  func settingsAreRepeated() throws {
    try Scratch.with { scratch in
      let arguments = try arguments(scratch, TinyModel(scratch))
      for (name, more, rate, epochs) in [
        ("given", ["--lr-fixed", "0.02"], 0.02, 3.0), ("paper", ["--preset", "paper"], 5e-5, 3),
        ("full", ["--method", "full"], 0.003, 3),
        ("magnitude", ["--method", "magnitude"], 0.003, 3),
      ] {
        let made = try ChildProcess.run(
          Diffkit.path, arguments(name, more + ["--density", "0.005"]))
        #expect(made.ending == .exit(0), "\(String(decoding: made.errors, as: UTF8.self))")
        let text = try DiffReader(scratch(name + ".diff")).metadata["train.settings"] ?? ""
        let options = try JSONValue(parsing: Array(text.utf8))["options"]
        #expect(options?["fixedLearningRate"]?.double == rate, "\(text)")
        #expect(options?["epochs"]?.double == epochs)
        #expect(
          options?["learningRate"]?.double
            == (name == "paper" ? 1e-5 : name == "given" ? 1e-4 : 5e-5))
        let again = try Diffkit.run(
          "train", scratch("base.safetensors"), "--from", scratch(name + ".diff"), "-o",
          scratch("again.diff"), "-q", "--force")
        expectSuccess(again)
        #expect(
          try contents(ofFile: scratch("again.diff")) == contents(ofFile: scratch(name + ".diff")))
      }
    }
  }

  @Test("a training that learns nothing, or loses what it has learned, says so")
  func lossesAreJudged() throws {
    try Scratch.with { scratch in
      let arguments = try arguments(scratch, TinyModel(scratch))
      let rates = [
        "--epochs", "20", "--lr", "2e-3", "--lr-head", "1e-2", "--no-dropout", "--force", "--json",
      ]
      for (more, note) in [
        (["--method", "full"], nil),
        (["--method", "magnitude", "--density", "0.5"], nil),
        (["--method", "full", "--lr", "1e-9", "--lr-head", "1e-9"], "hardly anything was learned"),
        (["--method", "magnitude", "--density", "0.5", "--lr-fixed", "3"], "far above"),
      ] {
        let child = try ChildProcess.run(
          Diffkit.path, arguments("judged", rates + more).filter { $0 != "-q" })
        #expect(child.ending == .exit(0), "\(String(decoding: child.errors, as: UTF8.self))")
        let notes = try JSONValue(parsing: child.output)["notes"]?.elements ?? []
        let found = notes.compactMap(\.text).filter { $0.hasPrefix("the loss ended at") }
        #expect(found.count == (note == nil ? 0 : 1), "\(more) \(found)")
        if let note { #expect(found.first?.contains(note) == true, "\(found)") }
      }
    }
  }

  @Test(
    "Ctrl-C saves and stops, and --resume continues to the same result",
    .enabled(if: Fault.library != nil, "needs a C compiler and LD_PRELOAD"))
  func interrupts() throws {
    try Scratch.with { scratch in
      let arguments = try arguments(scratch, TinyModel(scratch))
      let whole = try ChildProcess.run(Diffkit.path, arguments("whole", []))
      #expect(whole.ending == .exit(0), "\(String(decoding: whole.errors, as: UTF8.self))")
      // The signal comes when a state is saved, long before the end.
      for resuming in [[], ["--resume"]] {
        let fault = Fault(folder: scratch, kind: .signal(2, waits: false))
        let child = try #require(
          try fault.run(
            arguments("parts", ["--save-every", "1e-9", "--force"] + resuming), at: 60))
        #expect(child.ending == .exit(2))
        #expect(String(decoding: child.errors, as: UTF8.self).contains("with --resume to continue"))
        #expect(scratch.exists("parts.diff.state") && !scratch.exists("parts.diff"))
      }
      let last = try ChildProcess.run(Diffkit.path, arguments("parts", ["--force", "--resume"]))
      #expect(last.ending == .exit(0), "\(String(decoding: last.errors, as: UTF8.self))")
      try expectSame(scratch, "parts", "whole")
    }
  }

  #if os(Linux)
  @Test("bits depend on --threads, not on the number of cores")
  func coresDoNotMatter() throws {
    try Scratch.with { scratch in
      let arguments = try arguments(scratch, TinyModel(scratch))
      let all = try ChildProcess.run(Diffkit.path, arguments("all", []))
      #expect(all.ending == .exit(0), "\(String(decoding: all.errors, as: UTF8.self))")
      let one = try ChildProcess.run(
        "taskset", ["-c", Self.firstCore, Diffkit.path] + arguments("one", []))
      #expect(one.ending == .exit(0), "\(String(decoding: one.errors, as: UTF8.self))")
      try expectSame(scratch, "one", "all")
    }
  }

  /// The lowest number of the cores that this process may use.
  private static var firstCore: String {
    get throws {
      let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
      let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
      return String(try #require(line).drop { !$0.isNumber }.prefix { $0.isNumber })
    }
  }
  #endif

  /// Expects that two trainings of one task have the same losses and the same diff.
  private func expectSame(_ scratch: Scratch, _ one: String, _ other: String) throws {
    #expect(try losses(scratch(one + ".jsonl")) == losses(scratch(other + ".jsonl")))
    #expect(
      try contents(ofFile: scratch(one + ".diff")) == contents(ofFile: scratch(other + ".diff")))
  }

  /// Returns the losses in a metrics file, as written.
  private func losses(_ path: String) throws -> [String] {
    let losses = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      try JSONValue(parsing: Array($0.utf8))["loss"]?.compact ?? ""
    }
    #expect(losses.count == 300)
    return losses
  }

  @Test("questions on contexts are trained, scored and answered")
  func questions() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      let output = scratch("task.diff")
      let trained = try Diffkit.run(
        "train", model.path, "--task", TinyModel.questions, "--dev", TinyModel.questions, "-o",
        output, "--method", "full", "--epochs", "80", "--lr", "2e-3", "--lr-head", "2e-3",
        "--batch", "4", "--max-length", "48", "--no-dropout", "--threads", "2", "-q")
      #expect(trained.code == 0, "\(trained.errors)")
      let answer = try Diffkit.run(
        "evaluate", model.path, output, "--task", TinyModel.questions, "--json")
      expectSuccess(answer, "\"exact_match\"", "\"f1\"")
      let scores = try answer.scores
      #expect(scores["examples"] == 12)
      #expect(try #require(scores["exact_match"]) >= 0.9)
      #expect(try #require(scores["f1"]) >= #require(scores["exact_match"]))
      let metadata = try DiffReader(output).metadata
      #expect(scores["exact_match"].map { "\($0)" } == metadata["score.exact_match"])
      #expect(metadata["task.kind"] == "spans")

      let asked = "Where was the old king born?\tThe old king was born in the red house."
      let said = try Diffkit.run("predict", model.path, output, asked)
      expectSuccess(said, "red house\tWhere")
      let inJSON = try Diffkit.run("predict", model.path, output, asked, "--json")
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      for (answer, definition) in [(answer, "evaluate"), (inJSON, "predict")] {
        let value = try JSONValue(parsing: Array(answer.output.utf8))
        #expect(schema.faults(value, definition) == [])
      }

      expectTrouble(try Diffkit.run("predict", model.path, output, "no context"), "tab")
      try "text\t1\n".write(toFile: scratch("rows.tsv"), atomically: true, encoding: .utf8)
      expectTrouble(
        try Diffkit.run("evaluate", model.path, output, "--task", scratch("rows.tsv")),
        "rows.tsv", ".json")
    }
  }

  @Test("a version of a store is evaluated with the files of the model that the store has")
  func stores() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      let task = scratch("task.diff")
      expectSuccess(
        try Diffkit.run(
          "train", model.path, "--task", TinyModel.questions, "-o", task, "--method", "full",
          "--epochs", "2", "--max-length", "48", "--threads", "2", "-q"))
      // The diff states the base that it was made for.
      let checkpoints = try #require(try DiffReader(task).checkpoints)
      #expect(try CheckpointFile.open(model.path).fingerprint() == checkpoints.base)
      func evaluate(_ arguments: String...) throws -> Answer {
        try Diffkit.run(["evaluate"] + arguments + ["--task", TinyModel.questions])
      }
      let wanted = try evaluate(model.path, task)
      expectSuccess(wanted, "exact_match")
      expectSuccess(
        try Diffkit.run("store", "init", scratch("runs"), model.path),
        "with the model's config.json, vocab.txt")
      expectSuccess(try Diffkit.run("store", "add", scratch("runs"), task, "--name", "task"))
      #expect(try evaluate("--store", scratch("runs"), "task").output == wanted.output)
      // A store of a file that is alone.
      try makeFolder(scratch("alone"))
      try write(contents(ofFile: model.path), toFile: scratch("alone/base.safetensors"))
      expectSuccess(
        try Diffkit.run("store", "init", scratch("bare"), scratch("alone/base.safetensors")))
      expectSuccess(try Diffkit.run("store", "add", scratch("bare"), task, "--name", "task"))
      expectTrouble(
        try evaluate("--store", scratch("bare"), "task"), scratch("bare"), "--config", "--vocab")
      let named = try evaluate(
        "--store", scratch("bare"), "task", "--config", scratch("config.json"), "--vocab",
        scratch("vocab.txt"))
      #expect(named.output == wanted.output)
      if RemoteFile.isIncluded {
        let script = Repository.path + "/Tests/RemoteFilesTests/servers.py"
        try LoopbackServer.with([script, scratch.path]) { server in
          let address = "http://127.0.0.1:\(server.port)/plain"
          #expect(try evaluate("--store", address + "/runs", "task").output == wanted.output)
          expectTrouble(
            try evaluate("--store", address + "/bare", "task"), address + "/bare", "--config")
          expectSuccess(
            try Diffkit.run("store", "fetch", address + "/runs", "task", "--to", scratch("local")))
          #expect(try evaluate("--store", scratch("local"), "task").output == wanted.output)
          // A file of the model that is not the one of the index.
          try remove(scratch("runs/model/vocab.txt"))
          try write([1], toFile: scratch("runs/model/vocab.txt"))
          expectTrouble(
            try evaluate("--store", address + "/runs", "task"), address + "/runs/model/vocab.txt")
        }
        #expect(try Diffkit.run("store", "check", scratch("runs")).code == 2)
        expectSuccess(try Diffkit.run("store", "check", scratch("local")), "sound")
      }
    }
  }

  @Test("bf16 is refused by name if the processor lacks it, and auto reports what it uses instead")
  func precisionIsTold() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      func train(_ precision: String, _ name: String) throws -> Answer {
        // oneDNN is limited to AVX2.
        let all = [
          "ONEDNN_MAX_CPU_ISA=AVX2", Diffkit.path, "train", model.path, "--task",
          TinyModel.questions, "-o", scratch(name), "--method", "full", "--epochs", "1",
          "--max-length", "48", "--threads", "1", "--precision", precision,
        ]
        return Answer(try ChildProcess.run("env", all))
      }
      expectTrouble(try train("bf16", "none.diff"), "bf16", "--precision")
      #expect(!scratch.exists("none.diff"))
      let auto = try train("auto", "auto.diff")
      #expect(auto.code == 0 && auto.errors.contains("no bf16"), "\(auto.errors)")
      #expect(try train("f32", "f32.diff").code == 0)
      #expect(
        try contents(ofFile: scratch("auto.diff")) == contents(ofFile: scratch("f32.diff")))
    }
  }
}
