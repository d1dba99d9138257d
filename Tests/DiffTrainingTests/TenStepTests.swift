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

/// Finetuning of all-MiniLM-L6-v2 beside PyTorch; `ten_steps.py` made the numbers.
@Suite(.enabled(if: Repository.haveShared, "needs ../shared/data"))
struct TenStepTests {
  @Test("ten steps of AdamW have PyTorch's losses")
  func losses() throws {
    let path = Repository.path + "/Tests/DiffTrainingTests/Resources/ten-steps.json"
    let facts = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: path))))
    let folder = Repository.shared + "/models/minilm-l6"
    var configuration = try EncoderConfiguration(contentsOf: folder + "/config.json")
    configuration.dropout = 0
    configuration.attentionDropout = 0
    configuration.headDropout = 0
    let model = try EncoderModel(
      configuration, checkpoint: CheckpointFile.open(folder + "/model.h5"), head: .classes(2))
    #expect(model.pooling == .pooler)
    let values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 1)
    let golden = try StoredNumbers(Repository.shared + "/golden/minilm-l6.golden.h5")
    let head = try #require(model.layout["classifier/weight"])
    values.fill(try golden.floats("grad/head/weight_init"), at: head.range.lowerBound)

    let gradients = Gradients(model.layout)
    var options = AdamW.Options()
    options.decay = try #require(facts["decay"]?.double)
    options.epsilon = try #require(facts["epsilon"]?.double)
    options.clipping = Clipping(limit: nil)
    let optimizer = AdamW(
      model.layout, parameters: Array(model.layout.parameters.indices), options: options)
    let rate = Float(try #require(facts["rate"]?.double))
    let expected = try #require(facts["losses"]?.elements).map { $0.double ?? .nan }
    let batches = try batches(folder, labels: facts["labels"]?.elements?.compactMap(\.text) ?? [])
    #expect(expected.count == 10 && batches.count == 10)
    for (step, (batch, expected)) in zip(batches, expected).enumerated() {
      let loss = try model.addGradients(
        of: batch, at: values, scale: 1 / Float(batch.count), dropout: nil, to: gradients)
      optimizer.step(values, gradients, rate: rate)
      gradients.clear()
      #expect(abs(loss / Double(batch.count) - expected) < 1e-4, "step \(step)")
    }
  }

  private func batches(_ folder: String, labels: [String]) throws -> [[TokenExample]] {
    let vocabulary = try Data(contentsOf: URL(filePath: folder + "/vocab.txt"))
    let tokenizer = try WordPiece(vocabulary: Array(vocabulary))
    let path = Repository.shared + "/tasks/mr/train.2k.tsv"
    let lines = try String(contentsOf: URL(filePath: path), encoding: .utf8).split(
      separator: "\n")
    let examples = try stride(from: 0, to: 160 * 12, by: 12).map { number in
      let columns = lines[number].split(separator: "\t").map(String.init)
      return TokenExample(
        ids: tokenizer.encode(columns[0], maxLength: 128).ids,
        target: .label(try #require(labels.firstIndex(of: columns[1]))))
    }
    return stride(from: 0, to: 160, by: 16).map { Array(examples[$0..<$0 + 16]) }
  }
}
