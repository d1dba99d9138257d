import Algorithms
import Checkpoints
import DiffTraining
import SystemSupport
import TensorCore

/// One measurement of training, in a separate process so that its peak memory is measured alone.
/// Prints the median seconds of a batch.
struct TrainingRun {
  /// A kind of measurement.
  enum Kind: String, CaseIterable {
    /// Gradients and AdamW on reviews of different lengths.
    case train
    /// Outputs only, of all batches at once.
    case infer
    /// Gradients and AdamW on sequences of 128 tokens.
    case train128
    /// The same with 512 tokens.
    case train512
    /// A product of 2048 × 2048 matrices, without a model.
    case products

    /// The number of batches that are measured.
    var batches: Int {
      switch self {
      case .train128: 10
      case .train512: 2
      default: 25
      }
    }

    /// The number of tokens of every sequence; nil: that of its text.
    var length: Int? {
      switch self {
      case .train128: 128
      case .train512: 512
      default: nil
      }
    }
  }

  static let batchSize = 16
  private static let folder = TrainingBenchmarks.shared + "/models/minilm-l6"

  /// - Parameter arguments: The kind, and a precision other than f32.
  static func run(_ arguments: [String]) throws {
    guard let kind = arguments.first.flatMap(Kind.init) else {
      throw DiffError(.usage, "no such measurement")
    }
    if kind == .products { return print(try products().median) }
    let engine = try Engine(precision: arguments.last.flatMap(Precision.init) ?? .f32)
    let model = try EncoderModel(
      EncoderConfiguration(contentsOf: folder + "/config.json"),
      checkpoint: CheckpointFile.open(folder + "/model.h5"), head: .classes(2), engine: engine)
    let values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 1)
    let gradients = Gradients(model.layout)
    let optimizer = AdamW(
      model.layout, parameters: Array(model.layout.parameters.indices))
    if kind == .infer {
      let examples = try examples(kind).flatMap(\.self)
      let all = try seconds(runs: 3) {
        _ = try model.predictions(of: examples, at: values, batchSize: batchSize)
      }
      return print(all.median / Double(kind.batches))
    }
    var times: [Double] = []
    for (number, batch) in try examples(kind).enumerated() {
      times += try seconds(runs: 1) {
        _ = try model.addGradients(
          of: batch, at: values, scale: 1 / Float(batch.count),
          dropout: Dropout(seed: 1, step: UInt64(number)), to: gradients)
        optimizer.step(values, gradients, rate: 5e-5)
        gradients.clear()
      }
    }
    print(times.median)
  }

  /// Returns batches of the reviews in the order of their file.
  private static func examples(_ kind: Kind) throws -> [[TokenExample]] {
    let tokenizer = try WordPiece(vocabulary: File.contents(of: folder + "/vocab.txt"))
    let lines = try File.contents(of: TrainingBenchmarks.reviews).split(
      separator: UInt8(ascii: "\n"))
    var examples: [TokenExample] = []
    for line in lines.prefix(batchSize * kind.batches) {
      let columns = line.split(separator: UInt8(ascii: "\t"))
      let encoding = tokenizer.encode(String(decoding: columns[0], as: UTF8.self), maxLength: 128)
      var ids = encoding.ids
      if let length = kind.length { ids += (ids.count..<length).map { Int32(1000 + $0) } }
      examples.append(
        TokenExample(ids: ids, target: .label(columns[1].elementsEqual("1".utf8) ? 1 : 0)))
    }
    return examples.chunks(ofCount: batchSize).map(Array.init)
  }

  /// Returns the seconds of `x Wᵀ`, 2048 × 2048 each.
  private static func products() throws -> [Double] {
    let engine = try Engine()
    var layout = ParameterLayout()
    guard let shape = Shape([2048, 2048]) else { return [] }
    try layout.append("x", shape)
    try layout.append("weight", shape)
    let values = FloatBuffer(count: layout.count)
    let batch = FloatMatrix(values, rows: 2048, columns: 2048)
    return seconds(runs: 9) {
      let tape = Tape(engine, parameters: values)
      _ = tape.linear(tape.constant(batch), layout.parameters[1])
    }
  }
}
