import Checkpoints
import DiffTraining
import StrictJSON
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Finetuning of whole models against PyTorch; `ten_steps.py` made the losses.
@Suite struct TenStepTests {
  /// A model, its golden file, and the table and the rows of it that it learns from.
  private struct Run {
    let name, folder, file, golden, table: String
    let pooling: EncoderModel.Pooling
    let every: Int
  }

  @Test("ten steps of AdamW on the model in samples have PyTorch's losses")
  func sample() throws {
    let samples = Repository.path + "/samples"
    try expectLosses(
      Run(
        name: "minilm-l3", folder: samples + "/minilm-l3-small", file: "base.h5",
        golden: Resource.path("minilm-l3.safetensors"), table: samples + "/sms-spam/train.tsv",
        pooling: .cls, every: 27))
  }

  @Test(
    "ten steps of AdamW on MiniLM-L6 have PyTorch's losses",
    .enabled(if: Repository.haveShared, "needs ../shared/data"))
  func miniLM() throws {
    try expectLosses(
      Run(
        name: "minilm-l6", folder: Repository.shared + "/models/minilm-l6", file: "model.h5",
        golden: Repository.shared + "/golden/minilm-l6.golden.h5",
        table: Repository.shared + "/tasks/mr/train.2k.tsv", pooling: .pooler, every: 12))
  }

  private func expectLosses(_ run: Run) throws {
    let path = Resource.path("ten-steps.json")
    let runs = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: path))))
    let facts = try #require(runs[run.name])
    var configuration = try EncoderConfiguration(contentsOf: run.folder + "/config.json")
    configuration.dropout = 0
    configuration.attentionDropout = 0
    configuration.headDropout = 0
    let model = try EncoderModel(
      configuration, checkpoint: CheckpointFile.open("\(run.folder)/\(run.file)"),
      head: .classes(2),
      pooling: run.pooling)
    #expect(model.pooling == run.pooling)
    let values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 1)
    let head = try #require(model.layout["classifier/weight"])
    values.fill(
      try StoredNumbers(run.golden).floats("grad/head/weight_init"), at: head.range.lowerBound)

    let gradients = Gradients(model.layout)
    var options = AdamW.Options()
    options.decay = try #require(facts["decay"]?.double)
    options.epsilon = try #require(facts["epsilon"]?.double)
    options.clipping = Clipping(limit: nil)
    let optimizer = AdamW(
      model.layout, parameters: Array(model.layout.parameters.indices), options: options)
    let rate = Float(try #require(facts["rate"]?.double))
    let expected = try #require(facts["losses"]?.elements).map { $0.double ?? .nan }
    let batches = try batches(run, labels: facts["labels"]?.elements?.compactMap(\.text) ?? [])
    #expect(expected.count == 10 && batches.count == 10)
    for (step, (batch, expected)) in zip(batches, expected).enumerated() {
      let loss = try model.addGradients(
        of: batch, at: values, scale: 1 / Float(batch.count), dropout: nil, to: gradients)
      optimizer.step(values, gradients, rate: rate)
      gradients.clear()
      #expect(abs(loss / Double(batch.count) - expected) < 1e-4, "step \(step)")
    }
  }

  private func batches(_ run: Run, labels: [String]) throws -> [[TokenExample]] {
    let vocabulary = try Data(contentsOf: URL(filePath: run.folder + "/vocab.txt"))
    let tokenizer = try WordPiece(vocabulary: Array(vocabulary))
    let lines = try String(contentsOf: URL(filePath: run.table), encoding: .utf8).split(
      separator: "\n")
    let examples = try stride(from: 0, to: 160 * run.every, by: run.every).map { number in
      let columns = lines[number].split(separator: "\t").map(String.init)
      return TokenExample(
        ids: tokenizer.encode(columns[0], maxLength: 128).ids,
        target: .label(try #require(labels.firstIndex(of: columns[1]))))
    }
    return stride(from: 0, to: 160, by: 16).map { Array(examples[$0..<$0 + 16]) }
  }
}
