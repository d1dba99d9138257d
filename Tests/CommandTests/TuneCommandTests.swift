import DiffFormat
import Foundation
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

      expectTrouble(try run(["merge"] + diffs + ["--tune", scratch("a.tsv"), "-o", "x"]), "--base")
      expectTrouble(
        try run(["merge"] + diffs + tune + ["--weights", "1,1", "-o", scratch("x")]), "--weights")
      expectTrouble(
        try run(["merge", diffs[0]] + tune + ["-o", scratch("x")]), "2 files of rows for 1 diffs")
      expectTrouble(
        try run(["merge"] + diffs + tune + ["--method", "sce", "-o", scratch("x")]), "weighs")
    }
  }
}
