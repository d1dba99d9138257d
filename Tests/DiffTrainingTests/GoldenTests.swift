import Checkpoints
import DiffTraining
import StrictJSON
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// all-MiniLM-L6-v2 beside PyTorch's numbers in `../shared/data/golden`.
@Suite(.enabled(if: Repository.haveShared, "needs ../shared/data"))
struct GoldenTests {
  private static let folder = Repository.shared + "/models/minilm-l6"

  private let golden: StoredNumbers
  private let summary: JSONValue
  private let model: EncoderModel
  private let values: FloatBuffer

  init() throws {
    golden = try StoredNumbers(Repository.shared + "/golden/minilm-l6.golden.h5")
    let json = try Data(
      contentsOf: URL(filePath: Repository.shared + "/golden/minilm-l6.golden.json"))
    summary = try JSONValue(parsing: Array(json))
    model = try EncoderModel(
      EncoderConfiguration(contentsOf: Self.folder + "/config.json"),
      checkpoint: CheckpointFile.open(Self.folder + "/model.h5"), head: .classes(2), pooling: .cls)
    values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 1)
    let head = try #require(model.layout["classifier/weight"])
    values.fill(try golden.floats("grad/head/weight_init"), at: head.range.lowerBound)
  }

  /// The sequences of a group, without their padding.
  private func examples(_ group: String, labels: [Int] = []) throws -> [TokenExample] {
    let ids = try golden.rows(group + "/input_ids")
    let masks = try golden.rows(group + "/attention_mask")
    let segments = try golden.rows(group + "/token_type_ids")
    return ids.indices.map { row in
      let count = masks[row].reduce(0, +)
      return TokenExample(
        ids: ids[row].prefix(count).map { Int32($0) },
        segments: segments[row].prefix(count).map { Int32($0) },
        target: labels.isEmpty ? .none : .label(labels[row]))
    }
  }

  @Test("every hidden state is PyTorch's within 2e-5", arguments: ["single", "pair"])
  func hiddenStates(_ group: String) throws {
    let examples = try examples(group)
    let padded = try golden.rows(group + "/input_ids")[0].count
    let states = try model.hiddenStates(of: examples, at: values)
    #expect(states.count == 7)
    for (layer, state) in states.enumerated() {
      let expected = try golden.floats("\(group)/hidden/\(layer)")
      var token = 0
      for (row, example) in examples.enumerated() {
        let difference = largestDifference(
          state[token * 384..<(token + example.ids.count) * 384],
          expected[row * padded * 384..<(row * padded + example.ids.count) * 384])
        #expect(difference < 2e-5, "layer \(layer), text \(row)")
        token += example.ids.count
      }
    }
  }

  @Test("loss and gradients of a head on the first token are PyTorch's")
  func gradients() throws {
    let labels = try golden.integers("grad/labels")
    let examples = try examples("single", labels: labels)
    let logits = try model.outputs(of: examples, at: values)
    #expect(try largestDifference(logits.values, golden.floats("grad/logits")) < 2e-5)
    let gradients = Gradients(model.layout)
    let loss = try model.addGradients(
      of: examples, at: values, scale: 1 / 8, dropout: nil, to: gradients)
    #expect(try abs(loss / 8 - Double(golden.floats("grad/loss")[0])) < 1e-5)
    #expect(abs(loss / 8 - 0.70690) < 1e-5)

    func gradient(_ name: String) throws -> [Float] {
      gradients.values.elements(try #require(model.layout[name], "no \(name)").range)
    }
    var whole = 0
    for tensor in golden.checkpoint.tensors where tensor.name.hasPrefix("grad/param/") {
      let name = String(tensor.name.dropFirst("grad/param/".count))
      let difference = try relativeDifference(gradient(name), golden.floats(tensor.name))
      #expect(difference < 1e-4, "\(name)")
      whole += 1
    }
    #expect(whole == 5)
    for (ours, theirs) in [("weight", "dweight"), ("bias", "dbias")] {
      let difference = try relativeDifference(
        gradient("classifier/" + ours), golden.floats("grad/head/" + theirs))
      #expect(difference < 1e-4, "\(ours)")
    }
    for member in try #require(summary["grad_summary"]?.members) {
      let name = member.name.replacing(".", with: "/")
      if name.hasPrefix("pooler") { continue }
      let ours = try gradient(name)
      let norm = ours.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      let expected = try #require(member.value["l2"]?.double)
      #expect(abs(norm - expected) <= 1e-4 * expected + 1e-8, "\(name)")
      let first = try #require(member.value["first8"]?.elements).map { Float($0.double ?? .nan) }
      // The gradients of keys' biases are zero but for rounding.
      let bound = 1e-4 * Float(expected) + 1e-8
      #expect(largestDifference(ours.prefix(8), first) < bound, "\(name)")
    }
  }

  @Test(
    "in bf16 scores are PyTorch's within 0.02, the loss within 0.002, gradients within 3 %",
    .enabled(if: Precision.bf16.isAvailable, "needs a processor with bf16"))
  func half() throws {
    let half = try EncoderModel(
      EncoderConfiguration(contentsOf: Self.folder + "/config.json"),
      checkpoint: CheckpointFile.open(Self.folder + "/model.h5"), head: .classes(2), pooling: .cls,
      engine: try Engine(precision: .bf16))
    let examples = try examples("single", labels: golden.integers("grad/labels"))
    let outputs = try half.outputs(of: examples, at: values)
    #expect(try largestDifference(outputs.values, golden.floats("grad/logits")) < 0.02)
    var found: [[Float]] = []
    for model in [half, model] {
      let gradients = Gradients(model.layout)
      let loss = try model.addGradients(
        of: examples, at: values, scale: 1 / 8, dropout: nil, to: gradients)
      #expect(abs(loss / 8 - 0.70690) < 0.002)
      found.append(gradients.values.elements(0..<model.layout.count))
    }
    #expect(relativeDifference(found[0], found[1]) < 0.03)
  }

  @Test("only rows of tables that the batch has are touched, and clear makes all zero again")
  func touchedRows() throws {
    let examples = try examples("single", labels: golden.integers("grad/labels"))
    let gradients = Gradients(model.layout)
    _ = try model.addGradients(
      of: examples, at: values, scale: 1, dropout: nil, to: gradients)
    let words = try #require(model.layout["embeddings/word_embeddings/weight"])
    let touched = try #require(gradients.touchedRows(of: words.index))
    #expect(Set(touched) == Set(examples.flatMap { $0.ids.map(Int.init) }))
    #expect(touched.count == Set(touched).count)
    let nonzero = gradients.values.elements(words.range).enumerated().filter { $0.element != 0 }
    #expect(Set(nonzero.map { $0.offset / 384 }).isSubset(of: Set(touched)))
    #expect(gradients.ranges(of: words.index).reduce(0) { $0 + $1.count } == touched.count * 384)
    gradients.clear()
    #expect(gradients.touchedRows(of: words.index) == [])
    #expect(gradients.values.elements(0..<model.layout.count).allSatisfy { $0 == 0 })
  }
}
