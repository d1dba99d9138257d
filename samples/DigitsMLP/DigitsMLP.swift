// A model of one's own, trained with diffkit: digits of 8 × 8 pixels, told by a network of two
// layers.
//
//   swift run -c release DigitsMLP samples/DigitsMLP/digits.csv
import DiffTraining

/// A picture and the digit that it shows.
struct Digit: TrainingExample {
  /// 64 grey values, 0 … 1.
  let pixels: [Float]
  let target: Target

  /// The digit on paper that is half as dark as its ink.
  var onGrey: Digit { Digit(pixels: pixels.map { 0.5 + $0 / 2 }, target: target) }
}

/// 64 pixels → 32 features → 10 scores.
final class DigitsMLP: TrainableModel {
  let layout: ParameterLayout
  private let inner, outer: (weight: ParameterLayout.Parameter, bias: ParameterLayout.Parameter)
  private let engine: Engine
  /// What training starts from; nil: chance.
  var base: FloatBuffer?

  init() throws(DiffError) {
    engine = try Engine()
    var layout = ParameterLayout()
    for (name, extents) in [
      ("inner.weight", [32, 64]), ("inner.bias", [32]),
      ("outer.weight", [10, 32]), ("outer.bias", [10]),
    ] as [(TensorName, [UInt64])] {
      guard let shape = Shape(extents) else { continue }
      try layout.append(name, shape)
    }
    self.layout = layout
    inner = (layout.parameters[0], layout.parameters[1])
    outer = (layout.parameters[2], layout.parameters[3])
  }

  func initialize(_ values: FloatBuffer, seed: UInt64) {
    if let base {
      var span = values.mutableSpan
      for index in span.indices { span[index] = base.span[index] }
      return
    }
    var random = Xorshift(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
    var span = values.mutableSpan
    for weight in [inner.weight, outer.weight] {
      // Uniform, so that sums keep their size (Glorot, Bengio 2010).
      let bound = (6 / Float(weight.shape.extents.reduce(0, +))).squareRoot()
      for index in weight.range { span[index] = .random(in: -bound...bound, using: &random) }
    }
  }

  func addGradients(
    of examples: [Digit], at values: FloatBuffer, scale: Float, dropout: Dropout?,
    to gradients: Gradients
  ) throws(DiffError) -> Double {
    var labels: [Int] = []
    for example in examples {
      guard case .label(let digit) = example.target, 0..<10 ~= digit else {
        throw DiffError(.usage, "\(example.target) is no digit")
      }
      labels.append(digit)
    }
    let tape = Tape(engine, parameters: values, gradients: gradients, dropout: dropout)
    let loss = tape.crossEntropy(scores(examples, on: tape), labels: labels)
    tape.pullBack(scale: scale)
    return loss
  }

  func outputs(of examples: [Digit], at values: FloatBuffer) -> ModelOutputs {
    let tape = Tape(engine, parameters: values)
    return ModelOutputs(
      values: tape.value(of: scores(examples, on: tape)).elements, width: 10,
      rows: examples.indices.map { $0..<$0 + 1 })
  }

  /// [digits, 10].
  private func scores(_ examples: [Digit], on tape: Tape) -> Tape.Variable {
    let pixels = tape.constant(examples.flatMap(\.pixels), rows: examples.count, columns: 64)
    let features = tape.linear(pixels, inner.weight, bias: inner.bias, activation: .relu)
    return tape.linear(tape.drop(features, rate: 0.1), outer.weight, bias: outer.bias)
  }
}

/// Chance that is a function of the seed (Marsaglia 2003).
struct Xorshift: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}

/// The share of the digits that the model tells right.
func accuracy(_ model: DigitsMLP, _ values: FloatBuffer, _ digits: [Digit]) -> Double {
  let outputs = model.outputs(of: digits, at: values)
  let right = digits.indices.count { number in
    let scores = Array(outputs[number])
    return digits[number].target == .label(scores.firstIndex(of: scores.max() ?? 0) ?? -1)
  }
  return Double(right) / Double(digits.count)
}

/// Rows of 64 values 0 … 16 and a digit, separated by commas.
func digits(in text: String) -> [Digit] {
  text.split(separator: "\n").compactMap { line in
    let numbers = line.split(separator: ",").compactMap { Int($0) }
    guard numbers.count == 65 else { return nil }
    return Digit(
      pixels: numbers.prefix(64).map { Float($0) / 16 }, target: .label(numbers[64]))
  }
}

@main struct Program {
  static func main() throws {
    guard CommandLine.arguments.count == 2 else { return print("usage: DigitsMLP FILE.csv") }
    let file = try File(CommandLine.arguments[1])
    var bytes = [UInt8](repeating: 0, count: Int(try file.size))
    var span = bytes.mutableSpan
    try file.read(at: 0, into: &span)
    let all = digits(in: String(decoding: bytes, as: UTF8.self))
    // Every sixth is held out: the pictures are sorted by who wrote them, and the hands of the
    // last hundred, whom nobody has seen before, are read a tenth less well by any network.
    let known = all.indices.filter { $0 % 6 != 0 }.map { all[$0] }
    let unseen = all.indices.filter { $0 % 6 == 0 }.map { all[$0] }

    let model = try DigitsMLP()
    let values = FloatBuffer(count: model.layout.count)
    model.initialize(values, seed: 1)
    let gradients = Gradients(model.layout)
    let optimizer = AdamW(model.layout, parameters: Array(model.layout.parameters.indices))
    var random = Xorshift(state: 1)
    var step: UInt64 = 0
    for epoch in 1...30 {
      var loss = 0.0
      let order = known.shuffled(using: &random)
      for start in stride(from: 0, to: order.count, by: 20) {
        let batch = Array(order[start..<min(order.count, start + 20)])
        loss += try model.addGradients(
          of: batch, at: values, scale: 1 / Float(batch.count),
          dropout: Dropout(seed: 1, step: step), to: gradients)
        optimizer.step(values, gradients, rate: 0.005)
        gradients.clear()
        step += 1
      }
      if epoch % 10 == 0 { print("epoch \(epoch): loss \(loss / Double(known.count))") }
    }
    let (before, after) = (accuracy(model, values, known), accuracy(model, values, unseen))
    print("right: \(before * 100) % of the digits learnt, \(after * 100) % of 100 others")
    guard after >= 0.93 else { throw DiffError(.unsupported, "the network has not learnt") }

    // The same digits on paper that is not white: a few numbers of the network are to change.
    model.base = values
    let (grey, unseenGrey) = (known.map(\.onGrey), unseen.map(\.onGrey))
    var options = TrainingOptions()
    options.density = 0.005
    options.epochs = 20
    options.fixedEpochs = 20
    options.batchSize = 20
    options.learningRate = 0.02
    options.fixedLearningRate = 0.02
    let outcome = try Trainer(model, grey, options).run { progress in
      if progress.step % 250 == 0 { print("step \(progress.step): loss \(progress.loss)") }
      return .more
    }
    guard case .finished(let finetune) = outcome else { return }

    // The diff as a file would hold it, and what is read back: base and diff.
    let base = ParameterCheckpoint(model.layout, values)
    let sink = MemorySink()
    try finetune.write(base, into: sink, metadata: ["task": "digits on grey paper"])
    let tuned = try TunedCheckpoint(base, [DiffReader(bytes: sink.bytes)])
    let stored = FloatBuffer(count: model.layout.count)
    for tensor in tuned.tensors {
      guard let parameter = model.layout[tensor.name] else { continue }
      try tuned.read(tensor, into: stored, at: parameter.range.lowerBound)
    }
    let lost = accuracy(model, values, unseenGrey)
    let found = accuracy(model, stored, unseenGrey)
    print(
      "on grey paper: \(lost * 100) %, with a diff of \(sink.bytes.count) bytes "
        + "(\(finetune.positions.count) of \(model.layout.bodyCount) numbers) \(found * 100) %")
    guard finetune.density <= options.density, found > lost + 0.1 else {
      throw DiffError(.unsupported, "the diff has not learnt")
    }
  }
}
