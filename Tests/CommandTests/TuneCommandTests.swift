import Checkpoints
import DiffFormat
import Foundation
import TensorCore
import Testing
import TestSupport

/// `merge --tune`: weights by score.
@Suite struct TuneCommandTests {
  private func run(_ arguments: [String]) throws -> Answer {
    Answer(try ChildProcess.run("timeout", ["120", Diffkit.path] + arguments))
  }

  /// Two tasks on the same texts: one on colors, one on things.
  private func train(_ scratch: Scratch, _ model: TinyModel) throws {
    let (colours, things) = (["red", "blue"], ["river", "house"])
    for (number, name) in ["a", "b"].enumerated() {
      let rows = (0..<40).map { row in
        let (colour, thing) = (colours[row % 2], things[row / 2 % 2])
        let label = number == 0 ? colour : thing
        return "the \(colour) \(thing) was \(row % 5 < 2 ? "old" : "big")\t\(label)"
      }
      try rows.joined(separator: "\n")
        .write(toFile: scratch(name + ".tsv"), atomically: true, encoding: .utf8)
      let trained = try run([
        "train", model.path, "--task", scratch(name + ".tsv"), "--method", "full", "--epochs", "20",
        "--lr", "2e-3", "--lr-head", "1e-2", "--batch", "4", "--no-dropout", "--threads", "2", "-q",
        "-o", scratch(name + ".diff"),
      ])
      #expect(trained.code == 0, "\(trained.errors)")
    }
  }

  @Test("weights are chosen on half of the rows, and reported with the score on the other half")
  func tuning() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try train(scratch, model)
      let diffs = [scratch("a.diff"), scratch("b.diff")]
      let tune = ["--tune", scratch("a.tsv"), "--tune", scratch("b.tsv"), "--base", model.path]
      let answer = try run(
        ["merge"] + diffs + tune
          + ["--tune-budget", "16", "--head", "drop", "-o", scratch("m.diff")])
      expectSuccess(answer, "note: weights", "one weight")
      let metadata = try DiffReader(scratch("m.diff")).metadata
      let steps = try #require(metadata["diffkit.merge.tune.trace"]).split(separator: ";").map {
        $0.split(whereSeparator: { $0 == " " || $0 == "," }).compactMap { Double($0) }
      }
      #expect((10...16).contains(steps.count))
      #expect(steps.prefix(10).allSatisfy { $0.count == 3 && $0[0] == $0[1] })
      let best = try #require(steps.max { $0[2] < $1[2] })
      #expect(best[2] > 0.5)
      for (parent, weight) in [("1", 0), ("2", 1)] {
        let text = try #require(metadata["diffkit.merge.parent.\(parent)"])
        let own = text.hasSuffix("a.diff") ? best[0] : best[1]
        #expect(text.contains(" \(own) "), "\(text) \(best) \(weight)")
      }
      let held = try #require(metadata["diffkit.merge.tune.held-out"].flatMap { Double($0) })
      #expect((0...1).contains(held))

      let interval = try #require(metadata["diffkit.merge.tune.held-out-interval"])
        .split(separator: ",").compactMap { Double($0) }
      let alone = try #require(
        metadata["diffkit.merge.tune.held-out-one-weight"].flatMap { Double($0) })
      #expect(interval.count == 2 && interval[0] <= held - alone && held - alone <= interval[1])

      expectTrouble(try run(["merge"] + diffs + ["--tune", scratch("a.tsv"), "-o", "x"]), "--base")
      expectTrouble(
        try run(["merge"] + diffs + tune + ["--weights", "1,1", "-o", scratch("x")]), "--weights")
      expectTrouble(
        try run(["merge", diffs[0]] + tune + ["-o", scratch("x")]), "2 files of rows for 1 diffs")
      expectTrouble(
        try run(["merge"] + diffs + tune + ["--method", "sce", "-o", scratch("x")]), "weighs")
    }
  }

  @Test("a scale is chosen where sums are divided by the weights")
  func scale() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try train(scratch, model)
      let answer = try run([
        "merge", scratch("a.diff"), scratch("b.diff"), "--tune", scratch("a.tsv"), "--tune",
        scratch("b.tsv"), "--base", model.path, "--method", "average", "--scale", "2",
        "--tune-budget", "20", "--head", "drop", "-o", scratch("m.diff"),
      ])
      expectSuccess(answer, "note: weights", " and scale ", "one scale, ")
      let metadata = try DiffReader(scratch("m.diff")).metadata
      let steps = try #require(metadata["diffkit.merge.tune.trace"]).split(separator: ";").map {
        $0.split(whereSeparator: { " ,=".contains($0) }).compactMap { Double($0) }
      }
      // Two weights, the scale, the score.
      #expect(steps.count == 20 && steps.allSatisfy { $0.count == 4 })
      #expect(steps.prefix(10).allSatisfy { $0[0] == 1 && $0[1] == 1 })
      #expect(Set(steps.prefix(10).map { $0[2] }).count == 10)
      #expect(steps.allSatisfy { $0[0] >= 0 && $0[1] >= 0 && $0[2] >= 0 })
      let best = try #require(steps.max { $0[3] < $1[3] })
      #expect(metadata["diffkit.merge.scale"] == "\(2 * best[2])")
    }
  }

  @Test("densities are chosen too where that is asked for")
  func densities() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try train(scratch, model)
      let diffs = [scratch("a.diff"), scratch("b.diff")]
      let tune = ["--tune", scratch("a.tsv"), "--tune", scratch("b.tsv"), "--base", model.path]
      let ties = ["--tune-densities", "--head", "drop", "-o", scratch("m.diff")]
      let answer = try run(
        ["merge"] + diffs + tune + ties + ["--method", "ties", "--tune-budget", "16"])
      expectSuccess(answer, "note: weights", " and densities ", "one weight")
      let metadata = try DiffReader(scratch("m.diff")).metadata
      let steps = try #require(metadata["diffkit.merge.tune.trace"]).split(separator: ";").map {
        $0.split(whereSeparator: { $0 == " " || $0 == "," }).compactMap { Double($0) }
      }
      #expect(steps.count == 16 && steps.allSatisfy { $0.count == 5 })
      #expect(steps.prefix(10).allSatisfy { $0[2] == 1 && $0[3] == 1 })
      #expect(steps.allSatisfy { (0.05...1).contains($0[2]) && (0.05...1).contains($0[3]) })
      #expect(steps.contains { $0[2] < 1 || $0[3] < 1 })
      let best = try #require(steps.max { $0[4] < $1[4] })
      #expect(metadata["diffkit.merge.densities"] == "\(best[2]),\(best[3])")
      for (arguments, words) in [
        (diffs + tune + ties, "does not apply to 'sum'"),
        (diffs + ties + ["--method", "ties", "--base", model.path], "needs --tune"),
        (
          diffs + tune + ties + [
            "--method", "ties", "--density", "0.5", "--density-of", "nonzeros",
          ],
          "excludes --density"
        ),
      ] {
        expectTrouble(try run(["merge"] + arguments + ["--force"]), words)
      }
    }
  }

  @Test("a merged diff with more tokens than the base is evaluated and predicts")
  func grown() throws {
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      try train(scratch, model)
      // The same tuned models with two more rows in their tables of tokens.
      for name in ["a", "b"] {
        let tuned = scratch(name + "-tuned.safetensors")
        expectSuccess(try run(["apply", model.path, scratch(name + ".diff"), "-o", tuned]))
        let source = try CheckpointFile.open(tuned)
        let words: TensorName = "embeddings.word_embeddings.weight"
        let shapes = source.tensors.map { tensor in
          tensor.name == words
            ? Shape([tensor.shape.extents[0] + 2, tensor.shape.extents[1]]) ?? tensor.shape
            : tensor.shape
        }
        let (output, stored) = try CheckpointFile.make(
          at: scratch(name + "-grown.safetensors"), .safetensors,
          zip(source.tensors, shapes).map { ($0.name, $0.type, $1) })
        for (tensor, made) in zip(source.tensors, stored) {
          var bytes = [UInt8](repeating: 0, count: Int(made.byteCount))
          var span = bytes.mutableSpan
          var part = span._mutatingExtracting(first: Int(tensor.byteCount))
          try source.read(tensor, at: 0, into: &part)
          try output.write(bytes.span, to: made, at: 0)
        }
        try output.commit()
        let metadata = try DiffReader(scratch(name + ".diff")).metadata
        expectSuccess(
          try run(
            [
              "create", model.path, scratch(name + "-grown.safetensors"), "--add", "-q", "-o",
              scratch(name + "-grown.diff"),
            ]
              + metadata.sorted { $0.key < $1.key }.flatMap { ["--meta", "\($0.key)=\($0.value)"] })
        )
      }
      let merged = scratch("m.diff")
      expectSuccess(
        try run([
          "merge", scratch("a-grown.diff"), scratch("b-grown.diff"), "--base", model.path, "--rows",
          "first", "--head", scratch("a-grown.diff"), "--weights", "1,0", "-o", merged,
        ]), "rows chosen: embeddings.word_embeddings.weight")
      let task = ["--task", scratch("a.tsv"), "--json"]
      let plain = try run(["evaluate", model.path, scratch("a.diff")] + task)
      let grown = try run(["evaluate", model.path, merged] + task)
      #expect(grown.code == 0 && plain.code == 0, "\(grown.errors)")
      #expect(try grown.scores["accuracy"] == plain.scores["accuracy"])
      expectSuccess(try run(["predict", model.path, merged, "the red river"]), "red")
    }
  }
}
