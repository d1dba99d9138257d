import Checkpoints
import DiffTraining
import TensorCore
import Testing
import TestSupport

/// Small random encoders against PyTorch's numbers; `encoders.py` makes both.
@Suite struct EncoderTests {
  private static let folder = Repository.path + "/Tests/DiffTrainingTests/Resources/encoder-"

  /// One of the stored encoders, and PyTorch's numbers for it.
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let head: EncoderModel.Head
    let pooling: EncoderModel.Pooling
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "bert", head: .classes(3), pooling: .pooler),
    Case(name: "roberta", head: .number, pooling: .cls),
    Case(name: "distilbert", head: .span, pooling: .cls),
  ]

  private func model(_ one: Case, threads: Int? = nil) throws -> EncoderModel {
    try EncoderModel(
      EncoderConfiguration(contentsOf: Self.folder + one.name + ".json"),
      checkpoint: CheckpointFile.open(Self.folder + one.name + ".safetensors"), head: one.head,
      pooling: one.pooling, engine: try Engine(threads: threads))
  }

  private func values(_ model: EncoderModel) throws -> FloatBuffer {
    let values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 1)
    return values
  }

  private func examples(_ one: Case, _ golden: StoredNumbers) throws -> [TokenExample] {
    let masks = try golden.rows("mask")
    let segments = one.name == "bert" ? try golden.rows("segments") : nil
    return try golden.rows("ids").enumerated().map { row, ids in
      let count = masks[row].reduce(0, +)
      let target: Target =
        switch one.head {
        case .classes: .label(try golden.integers("labels")[row])
        case .number: .value(try golden.floats("targets")[row])
        case .span:
          .span(
            start: try golden.integers("starts")[row], end: try golden.integers("ends")[row])
        }
      return TokenExample(
        ids: ids.prefix(count).map { Int32($0) },
        segments: segments?[row].prefix(count).map { Int32($0) } ?? [], target: target)
    }
  }

  @Test("scores, loss and every gradient are PyTorch's", arguments: cases)
  func equalsPyTorch(_ one: Case) throws {
    let golden = try StoredNumbers(Self.folder + one.name + ".golden.safetensors")
    let model = try model(one)
    #expect(model.headIsStored && model.notes.isEmpty)
    let (values, examples) = try (values(model), examples(one, golden))
    let outputs = try model.outputs(of: examples, at: values)
    #expect(try largestDifference(outputs.values, golden.floats("scores")) < 2e-5)
    #expect(outputs.rows.last?.upperBound == outputs.values.count / outputs.width)
    let gradients = Gradients(model.layout)
    let loss = try model.addGradients(
      of: examples, at: values, scale: 1 / Float(examples.count), dropout: nil, to: gradients)
    let expected = try Double(golden.floats("loss")[0])
    #expect(abs(loss / Double(examples.count) - expected) < 1e-5 * max(1, expected))
    for parameter in model.layout.parameters {
      let ours = gradients.values.elements(parameter.range)
      let theirs = try golden.floats("gradient.\(parameter.name)")
      let norm = theirs.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      // The gradients of keys' biases are zero but for rounding.
      #expect(
        relativeDifference(ours, theirs) < 1e-4
          || norm < 1e-5 && largestDifference(ours, theirs) < 1e-5,
        "\(parameter.name)")
    }
    #expect(
      golden.checkpoint.tensors.count { $0.name.parts[0] == "gradient" }
        == model.layout.parameters.count)
  }

  @Test("equal numbers of threads give equal bits, others nearly equal ones", arguments: cases)
  func threads(_ one: Case) throws {
    let golden = try StoredNumbers(Self.folder + one.name + ".golden.safetensors")
    func gradients(_ threads: Int) throws -> [Float] {
      let model = try model(one, threads: threads)
      let gradients = Gradients(model.layout)
      _ = try model.addGradients(
        of: examples(one, golden), at: values(model), scale: 1,
        dropout: Dropout(seed: 7, step: 3), to: gradients)
      return gradients.values.elements(0..<model.layout.count)
    }
    let reference = try gradients(2)
    #expect(try gradients(2) == reference)
    for threads in [1, 3, 5] {
      #expect(try relativeDifference(gradients(threads), reference) < 1e-5, "\(threads) threads")
    }
  }

  @Test("gradients that are not required are left out, others have equal bits", arguments: cases)
  func wanted(_ one: Case) throws {
    let golden = try StoredNumbers(Self.folder + one.name + ".golden.safetensors")
    let model = try model(one)
    let (values, examples) = try (values(model), examples(one, golden))
    let parameters = model.layout.parameters
    func gradients(_ wanted: [Int]?) throws -> Gradients {
      let gradients = Gradients(model.layout)
      if let wanted { gradients.want(only: wanted) }
      _ = try model.addGradients(
        of: examples, at: values, scale: 1, dropout: Dropout(seed: 7, step: 3), to: gradients)
      return gradients
    }
    let all = try gradients(nil)
    let biases = parameters.indices.filter { parameters[$0].name.parts.last == "bias" }
    for wanted in parameters.indices.map({ [$0] }) + [biases, []] {
      let some = try gradients(wanted)
      for (index, parameter) in parameters.enumerated() {
        let found = some.values.elements(parameter.range)
        if wanted.contains(index) {
          #expect(found == all.values.elements(parameter.range), "\(parameter.name)")
        } else {
          #expect(found.allSatisfy { $0 == 0 }, "\(parameter.name)")
          #expect(some.touchedRows(of: index)?.isEmpty ?? true)
        }
      }
    }
  }

  @Test("dropout changes with seed and step, and gradients add up")
  func dropout() throws {
    let one = Self.cases[0]
    let golden = try StoredNumbers(Self.folder + one.name + ".golden.safetensors")
    let model = try model(one)
    let (values, examples) = try (values(model), examples(one, golden))
    func loss(_ dropout: Dropout?) throws -> Double {
      try model.addGradients(
        of: examples, at: values, scale: 1, dropout: dropout, to: Gradients(model.layout))
    }
    let losses = try [
      loss(nil), loss(Dropout(seed: 1, step: 1)), loss(Dropout(seed: 1, step: 2)),
      loss(Dropout(seed: 2, step: 1)),
    ]
    #expect(Set(losses).count == 4)
    #expect(try loss(Dropout(seed: 1, step: 1)) == losses[1])

    let whole = Gradients(model.layout)
    let parts = Gradients(model.layout)
    _ = try model.addGradients(of: examples, at: values, scale: 0.5, dropout: nil, to: whole)
    for example in examples {
      _ = try model.addGradients(of: [example], at: values, scale: 0.5, dropout: nil, to: parts)
    }
    let all = 0..<model.layout.count
    let difference = relativeDifference(parts.values.elements(all), whole.values.elements(all))
    #expect(difference < 1e-5)
  }

  @Test("a head that the checkpoint lacks is drawn from the seed; a missing pooler is reported")
  func freshHead() throws {
    let roberta = Case(name: "roberta", head: .classes(4), pooling: .pooler)
    let model = try model(roberta)
    #expect(model.pooling == .mean && !model.headIsStored)
    // The golden checkpoint has a head for another number of classes.
    #expect(model.notes.contains { $0.contains("no pooler") })
    let head = try #require(model.layout["classifier.weight"])
    #expect(head.isHead && head.shape == Shape([4, 32]))
    let bias = try #require(model.layout["classifier.bias"])
    let (one, other) = (FloatBuffer(count: model.layout.count), try values(model))
    try model.initialize(one, seed: 2)
    let weights = other.elements(head.range)
    #expect(weights != one.elements(head.range))
    let deviation = (weights.reduce(0) { $0 + $1 * $1 } / Float(weights.count)).squareRoot()
    #expect(deviation > 0.015 && deviation < 0.025)
    #expect(other.elements(bias.range) == [0, 0, 0, 0])
  }

  @Test("sequences that the model cannot read are refused before anything is added")
  func badExamples() throws {
    let model = try model(Self.cases[0])
    let values = try values(model)
    let gradients = Gradients(model.layout)
    let good = TokenExample(ids: [1, 2], target: .label(0))
    let bad: [(TokenExample, String)] = [
      (TokenExample(ids: [], target: .label(0)), "no tokens"),
      (TokenExample(ids: [60], target: .label(0)), "vocabulary of 60"),
      (TokenExample(ids: [-1], target: .label(0)), "token -1"),
      (TokenExample(ids: Array(repeating: 1, count: 17), target: .label(0)), "at most 16"),
      (TokenExample(ids: [1, 2], segments: [0], target: .label(0)), "1 segments for 2"),
      (TokenExample(ids: [1], segments: [2], target: .label(0)), "segment 2"),
      (TokenExample(ids: [1], target: .label(3)), "does not fit the task"),
      (TokenExample(ids: [1], target: .value(1)), "does not fit the task"),
    ]
    for (example, message) in bad {
      let error = #expect(throws: DiffError.self) {
        try model.addGradients(
          of: [good, example], at: values, scale: 1, dropout: nil, to: gradients)
      }
      #expect(error?.code == .usage)
      #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
    #expect(gradients.values.elements(0..<model.layout.count).allSatisfy { $0 == 0 })
    #expect(try model.outputs(of: [], at: values).values.isEmpty)
  }
}
