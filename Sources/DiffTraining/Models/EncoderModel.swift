import Checkpoints
import Kernels
import TensorCore

/// An encoder of the BERT family with a head for a task.
///
/// The parameters have the names of the checkpoint's tensors, the head's are `classifier.weight`
/// [outputs, width] and `classifier.bias` [outputs], or `qa_outputs.weight` and `.bias` for spans
/// ('/' in place of '.' where the checkpoint has it). A checkpoint that holds the head with these
/// shapes gives its values; else it begins as a normal distribution of deviation 0.02, and zeros.
public final class EncoderModel: TrainableModel {
  /// What the head says.
  public enum Head: Sendable, Hashable {
    /// Which of so many classes a text, or a pair of texts, is of.
    case classes(Int)
    /// A number for it.
    case number
    /// Where in it the answer is.
    case span
  }

  /// What stands for a whole text.
  public enum Pooling: String, Sendable, Hashable, CaseIterable, Codable {
    /// The first token, through the checkpoint's pooler: a product and tanh.
    case pooler
    /// The first token.
    case cls
    /// The mean of all tokens.
    case mean
  }

  /// What the model is.
  public let configuration: EncoderConfiguration
  /// What the head says.
  public let head: Head
  /// What stands for a whole text.
  public let pooling: Pooling
  /// What the user should be told: where the model is not what was asked for.
  public let notes: [String]
  /// The parameters, under the names of the checkpoint.
  public let layout: ParameterLayout
  /// How much an example of each class counts in the loss; nil: all alike.
  public var classWeights: [Double]?
  private let tensors: CheckpointTensors
  private let encoder: TextEncoder
  /// Where it is calculated.
  public let engine: Engine

  /// - Parameters:
  ///   - configuration: From its `config.json`.
  ///   - checkpoint: Its tensors; read by `initialize`.
  ///   - head: What it shall say.
  ///   - pooling: What stands for a whole text. Without a pooler in the checkpoint the mean does.
  ///   - engine: Threads and memory; may be shared by models that are not used at the same time.
  /// - Throws: `mismatch` with the name of a tensor that is missing or has another shape, and what
  ///   `Engine` throws.
  public init(
    _ configuration: EncoderConfiguration, checkpoint: any Checkpoint, head: Head,
    pooling: Pooling = .pooler, engine: Engine? = nil
  ) throws(DiffError) {
    if case .classes(let count) = head, count < 2 || count > 1 << 20 {
      throw DiffError(.usage, "\(count) classes are none to choose from")
    }
    let names = EncoderNames(configuration.family)
    let tensors = try CheckpointTensors(checkpoint, anchor: names.words)
    let hasPooler = tensors["\(names.pooler).weight"] != nil
    let isReplaced = pooling == .pooler && !hasPooler && head != .span
    self.configuration = configuration
    self.head = head
    self.pooling = isReplaced ? .mean : pooling
    if let engine { self.engine = engine } else { self.engine = try Engine() }
    self.tensors = tensors
    var layout = ParameterLayout()
    let parameters = try EncoderParameters(
      configuration, tensors, withPooler: self.pooling == .pooler && head != .span,
      headName: head.name, outputs: head.outputs, layout: &layout)
    self.layout = layout
    encoder = TextEncoder(configuration: configuration, parameters: parameters)
    var notes: [String] = []
    if isReplaced {
      notes.append("\(checkpoint.path) has no pooler: the mean of the tokens stands for a text")
    }
    let weight = parameters.head.weight
    if let old = tensors.head("\(head.name).weight"), old.shape != weight.shape {
      notes.append(
        "\(checkpoint.path) has a head \(old.shape), the task needs \(weight.shape): it is replaced"
      )
    }
    self.notes = notes
  }

  /// Refuses a head of the checkpoint that no diff can take to the task's: what learns is f32.
  ///
  /// - Throws: `unsupported`.
  public func checkStoredHead() throws(DiffError) {
    for part in ["weight", "bias"] {
      guard let old = tensors.head("\(head.name).\(part)"), old.type != .f32 else { continue }
      throw DiffError(
        .unsupported, "is a head of \(old.type), the task's will be f32, and no diff holds that",
        path: tensors.checkpoint.path, tensor: old.name,
        remedy: .dropTensors(
          tensors.checkpoint.path, pattern: "\(head.name)\(tensors.separator)*"))
    }
  }

  /// The configuration, what stands for a text, and what products are calculated in.
  public var calculation: String {
    let weights = classWeights.map { " \($0)" } ?? ""
    return "\(configuration) \(pooling) \(engine.precision) \(engine.threads)\(weights)"
  }

  /// Whether the checkpoint gives the head's values.
  public var headIsStored: Bool {
    layout.parameters.allSatisfy { !$0.isHead || storedHead($0) != nil }
  }

  /// Reads the checkpoint, and draws the head unless that has it.
  public func initialize(_ values: FloatBuffer, seed: UInt64) throws(DiffError) {
    let headIsStored = headIsStored
    for parameter in layout.parameters {
      if let tensor = parameter.isHead ? storedHead(parameter) : stored(parameter),
        !parameter.isHead || headIsStored
      {
        try tensors.checkpoint.read(tensor, into: values, at: parameter.range.lowerBound)
      }
    }
    guard !headIsStored else { return }
    var random = SplitMix64(seed: seed)
    var span = values.mutableSpan
    for index in encoder.parameters.head.weight.range {
      span[index] = Float(0.02 * random.gaussian())
    }
  }

  /// Adds the gradients of a batch; see the protocol.
  public func addGradients(
    of examples: [TokenExample], at values: FloatBuffer, scale: Float, dropout: Dropout?,
    to gradients: Gradients
  ) throws(DiffError) -> Double {
    let batch = try PackedTokens(examples, configuration)
    let targets = try head.targets(of: examples)
    if examples.isEmpty { return 0 }
    let tape = Tape(engine, parameters: values, gradients: gradients, dropout: dropout)
    let outputs = outputs(of: batch, on: tape)
    let loss =
      switch targets {
      case .labels(let labels): tape.crossEntropy(outputs, labels: labels, weights: classWeights)
      case .numbers(let numbers): tape.squaredError(outputs, targets: numbers)
      case .spans(let spans): tape.spanLoss(outputs, offsets: batch.offsets, spans: spans)
      }
    tape.pullBack(scale: scale, completing: true)
    return loss
  }

  /// What the head says to a batch; see the protocol.
  public func outputs(
    of examples: [TokenExample], at values: FloatBuffer
  ) throws(DiffError) -> ModelOutputs {
    let batch = try PackedTokens(examples, configuration)
    let rows = examples.indices.map {
      head == .span ? batch.offsets[$0]..<batch.offsets[$0 + 1] : $0..<$0 + 1
    }
    if examples.isEmpty { return ModelOutputs(values: [], width: head.outputs, rows: rows) }
    let tape = Tape(engine, parameters: values)
    return ModelOutputs(
      values: tape.value(of: outputs(of: batch, on: tape)).elements, width: head.outputs,
      rows: rows)
  }

  /// The embeddings of a batch and the outputs of every layer, all tokens: [tokens, width] each.
  package func hiddenStates(
    of examples: [TokenExample], at values: FloatBuffer
  ) throws(DiffError) -> [[Float]] {
    let batch = try PackedTokens(examples, configuration)
    var states: [[Float]] = []
    _ = encoder.encode(batch, on: Tape(engine, parameters: values), onlyFirst: false) {
      states.append($0.elements)
    }
    return states
  }

  /// The head's scores: [sequences, outputs], or [tokens, 2].
  private func outputs(of batch: PackedTokens, on tape: Tape) -> Tape.Variable {
    let needsAll = head == .span || pooling == .mean
    let encoded = encoder.encode(batch, on: tape, onlyFirst: !needsAll)
    var pooled = encoded
    if head != .span {
      if pooling == .mean { pooled = tape.mean(encoded, offsets: batch.offsets) }
      if let pooler = encoder.parameters.pooler {
        pooled = tape.linear(encoded, pooler, activation: .tanh)
      }
      pooled = tape.drop(pooled, rate: configuration.headDropout)
    }
    return tape.linear(pooled, encoder.parameters.head)
  }

  private func stored(_ parameter: ParameterLayout.Parameter) -> StoredTensor? {
    tensors.checkpoint.tensors.first { $0.name == parameter.name }
  }

  private func storedHead(_ parameter: ParameterLayout.Parameter) -> StoredTensor? {
    let part = parameter == encoder.parameters.head.weight ? "weight" : "bias"
    return tensors.head("\(head.name).\(part)").flatMap {
      $0.shape == parameter.shape ? $0 : nil
    }
  }
}
