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

/// A MiniLM, and PyTorch's numbers for it: hidden states of some texts and pairs, and the loss and
/// gradients of a head on the first token.
struct GoldenModel {
  let model: EncoderModel
  let values: FloatBuffer
  private let golden: StoredNumbers
  private let summary: JSONValue
  private let folder, file: String

  /// The model in `samples`; `minilm.py` made the numbers.
  static func sample() throws -> Self {
    let resources = Resource.path("minilm-l3")
    return try Self(
      Repository.path + "/samples/minilm-l3-small", "base.h5",
      golden: resources + ".safetensors", summary: resources + ".json")
  }

  /// all-MiniLM-L6-v2, which is not part of the repository.
  static func shared() throws -> Self {
    let golden = Repository.shared + "/golden/minilm-l6.golden"
    return try Self(
      Repository.shared + "/models/minilm-l6", "model.h5",
      golden: golden + ".h5", summary: golden + ".json")
  }

  private init(_ folder: String, _ file: String, golden: String, summary: String) throws {
    (self.folder, self.file) = (folder, file)
    self.golden = try StoredNumbers(golden)
    self.summary = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: summary))))
    model = try Self.open(folder, file, Engine())
    values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 1)
    let head = try #require(model.layout["classifier/weight"])
    values.fill(try self.golden.floats("grad/head/weight_init"), at: head.range.lowerBound)
  }

  private static func open(_ folder: String, _ file: String, _ engine: Engine) throws
    -> EncoderModel
  {
    try EncoderModel(
      EncoderConfiguration(contentsOf: folder + "/config.json"),
      checkpoint: CheckpointFile.open("\(folder)/\(file)"), head: .classes(2), pooling: .cls,
      engine: engine)
  }

  /// The sequences of a group, without their padding.
  private func examples(_ group: String, labels: [Int] = []) throws -> [TokenExample] {
    let ids = try golden.rows("\(group)/input_ids")
    let masks = try golden.rows("\(group)/attention_mask")
    let segments = try golden.rows("\(group)/token_type_ids")
    return ids.indices.map { row in
      let count = masks[row].reduce(0, +)
      return TokenExample(
        ids: ids[row].prefix(count).map { Int32($0) },
        segments: segments[row].prefix(count).map { Int32($0) },
        target: labels.isEmpty ? .none : .label(labels[row]))
    }
  }

  /// The single texts with their labels.
  func labelled() throws -> [TokenExample] {
    try examples("single", labels: golden.integers("grad/labels"))
  }

  /// Expects every hidden state of a group to be PyTorch's within 2e-5, in the columns stored.
  func expectHiddenStates(_ group: String) throws {
    let examples = try examples(group)
    let padded = try golden.rows("\(group)/input_ids")[0].count
    let states = try model.hiddenStates(of: examples, at: values)
    let layers = golden.checkpoint.tensors.count { $0.name.parts.starts(with: [group, "hidden"]) }
    #expect(states.count == layers && layers > 3)
    for (layer, state) in states.enumerated() {
      let name: TensorName = "\(group)/hidden/\(layer)"
      let expected = try golden.floats(name)
      let columns = try Int(golden.tensor(name).shape.rowLength)
      var token = 0
      for (row, example) in examples.enumerated() {
        for column in example.ids.indices {
          let stored = (row * padded + column) * columns
          let difference = largestDifference(
            state[token * 384..<token * 384 + columns], expected[stored..<stored + columns])
          #expect(difference < 2e-5, "layer \(layer), text \(row), token \(column)")
          token += 1
        }
      }
    }
  }

  private func gradients(_ model: EncoderModel) throws -> (loss: Double, Gradients) {
    let gradients = Gradients(model.layout)
    let loss = try model.addGradients(
      of: labelled(), at: values, scale: 1 / 8, dropout: nil, to: gradients)
    return (loss / 8, gradients)
  }

  /// Expects the loss and the gradients of a head on the first token to be PyTorch's.
  func expectGradients(whole count: Int) throws {
    let logits = try model.outputs(of: labelled(), at: values)
    #expect(try largestDifference(logits.values, golden.floats("grad/logits")) < 2e-5)
    let (loss, gradients) = try gradients(model)
    #expect(try abs(loss - Double(golden.floats("grad/loss")[0])) < 1e-5)
    #expect(try abs(loss - #require(summary["loss"]?.double)) < 1e-5)

    func gradient(_ name: TensorName) throws -> [Float] {
      gradients.values.elements(try #require(model.layout[name], "no \(name)").range)
    }
    var whole = 0
    for tensor in golden.checkpoint.tensors {
      let parts = tensor.name.parts
      guard parts.starts(with: ["grad", "param"]) else { continue }
      let name = TensorName(parts.dropFirst(2).joined(separator: "/"))
      let difference = try relativeDifference(gradient(name), golden.floats(tensor.name))
      #expect(difference < 1e-4, "\(name)")
      whole += 1
    }
    #expect(whole == count)
    for (ours, theirs) in [("weight", "dweight"), ("bias", "dbias")] {
      let difference = try relativeDifference(
        gradient("classifier/\(ours)"), golden.floats("grad/head/\(theirs)"))
      #expect(difference < 1e-4, "\(ours)")
    }
    for member in try #require(summary["grad_summary"]?.members) {
      let name = member.name.replacing(".", with: "/")
      if name.hasPrefix("pooler") { continue }
      let ours = try gradient(TensorName(name))
      let norm = ours.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      let expected = try #require(member.value["l2"]?.double)
      #expect(abs(norm - expected) <= 1e-4 * expected + 1e-8, "\(name)")
      let first = try #require(member.value["first8"]?.elements).map { Float($0.double ?? .nan) }
      // The gradients of keys' biases are zero but for rounding.
      let bound = 1e-4 * Float(expected) + 1e-8
      #expect(largestDifference(ours.prefix(8), first) < bound, "\(name)")
    }
  }

  /// Expects bf16 to give PyTorch's scores within 0.02, its loss within 0.002, and the gradients of
  /// float32 within 3 %.
  func expectHalf() throws {
    let half = try Self.open(folder, file, Engine(precision: .bf16))
    let outputs = try half.outputs(of: labelled(), at: values)
    #expect(try largestDifference(outputs.values, golden.floats("grad/logits")) < 0.02)
    let expected = try #require(summary["loss"]?.double)
    let found = try [half, model].map { model in
      let (loss, gradients) = try gradients(model)
      #expect(abs(loss - expected) < 0.002)
      return gradients.values.elements(0..<model.layout.count)
    }
    #expect(found[0] != found[1])
    #expect(relativeDifference(found[0], found[1]) < 0.03)
  }
}
