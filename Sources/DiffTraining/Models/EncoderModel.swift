import Checkpoints
import Kernels
import TensorCore

/// An encoder of the BERT family with a head for a task.
///
/// The parameters have the names of the checkpoint's tensors, the head's are `classifier.weight`
/// [outputs, width] and `classifier.bias` [outputs], or `qa_outputs.weight` and `.bias` for spans
/// (with '/' instead of '.' if the checkpoint has it). If the checkpoint holds a head with these
/// shapes, its values are used; else its weight starts from a normal distribution with deviation
/// 0.02, its bias from zeros.
public final class EncoderModel: TrainableModel {
  /// The head for a task.
  public enum Head: Sendable, Hashable {
    /// Classification of a text, or a pair of texts, into this number of classes.
    case classes(Int)
    /// Regression: a number for a text, or a pair of texts.
    case number
    /// The first and the last token of an answer in a context.
    case span
  }

  /// The way in which the tokens of a text are pooled.
  public enum Pooling: String, Sendable, Hashable, CaseIterable, Codable {
    /// The first token, through the checkpoint's pooler: a product and tanh.
    case pooler
    /// The first token.
    case cls
    /// The mean of all tokens.
    case mean
  }

  /// The configuration of the encoder.
  public let configuration: EncoderConfiguration
  /// The head for the task.
  public let head: Head
  /// The way in which the tokens of a text are pooled.
  public let pooling: Pooling
  /// Notes for the user about differences from what was requested.
  public let notes: [String]
  /// The parameters, with the names of the checkpoint.
  public let layout: ParameterLayout
  /// The weight of an example of each class in the loss; nil for equal weights.
  public var classWeights: [Double]?
  private let tensors: CheckpointTensors
  private let encoder: TextEncoder
  /// The engine that calculates the model.
  public let engine: Engine

  /// Creates a model of a checkpoint.
  ///
  /// - Parameters:
  ///   - configuration: The contents of its `config.json`.
  ///   - checkpoint: Its tensors, which `initialize` reads.
  ///   - head: The head for the task.
  ///   - pooling: The way in which texts are pooled; `mean` if the checkpoint lacks the pooler.
  ///   - engine: The threads and memory; models that are not used concurrently may share it.
  /// - Throws: `mismatch` with the name of a tensor that is missing or has another shape, and the
  ///   errors of `Engine`.
  public init(
    _ configuration: EncoderConfiguration, checkpoint: any Checkpoint, head: Head,
    pooling: Pooling = .pooler, engine: Engine? = nil
  ) throws(DiffError) {
    if case .classes(let count) = head, count < 2 || count > 1 << 20 {
      throw DiffError(.usage, "\(count) classes: a classification needs 2 to \(1 << 20)")
    }
    let names = EncoderNames(configuration.family)
    let tensors = try CheckpointTensors(checkpoint, anchor: names.words)
    let configuration = Self.grown(configuration, tensors[names.words])
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
      notes.append("\(checkpoint.path) has no pooler: texts are pooled by the mean of their tokens")
    }
    let layers = tensors.layers(names)
    if layers > configuration.layers {
      notes.append(
        "\(checkpoint.path) has \(layers) layers, of which config.json uses the first "
          + "\(configuration.layers)")
    }
    let weight = parameters.head.weight
    if let old = tensors.head("\(head.name).weight"), old.shape != weight.shape {
      notes.append(
        "\(checkpoint.path) has a head of shape \(old.shape), but the task needs \(weight.shape): "
          + "it is replaced")
    }
    self.notes = notes
  }

  /// A configuration with as many tokens as the checkpoint has rows for, if those are more: a diff
  /// that adds tokens does not come with another `config.json`.
  private static func grown(
    _ configuration: EncoderConfiguration, _ words: StoredTensor?
  ) -> EncoderConfiguration {
    guard let extents = words?.shape.extents, extents.count == 2,
      let rows = Int32(exactly: extents[0]), Int(rows) > configuration.vocabulary
    else { return configuration }
    var grown = configuration
    grown.vocabulary = Int(rows)
    return grown
  }

  /// Returns a note for the user if a tokenizer seems to be another model's: it has tokens without a
  /// row in the checkpoint, or far fewer than there are rows.
  public func note(on tokenizer: any Tokenizer) -> String? {
    let (tokens, rows) = (tokenizer.vocabularyCount, configuration.vocabulary)
    // Rows are added to make their number a multiple of 64, say.
    guard tokens > rows || tokens * 10 < rows * 9 else { return nil }
    return "\(tensors.checkpoint.path) has rows for \(rows.counted("token")), but its vocabulary "
      + "\(tokens): is it another model's?"
  }

  /// Checks that a diff can replace the checkpoint's head by the task's, which is f32.
  ///
  /// - Throws: `unsupported`.
  public func checkStoredHead() throws(DiffError) {
    if head != .span, let other = tensors.libraryHead {
      throw DiffError(
        .unsupported,
        "is part of a head of the transformers library, beside which the task's would stand",
        path: tensors.checkpoint.path, tensor: other.name,
        remedy: .dropTensors(tensors.checkpoint.path, pattern: "*classifier*"))
    }
    for part in ["weight", "bias"] {
      guard let old = tensors.head("\(head.name).\(part)"), old.type != .f32 else { continue }
      throw DiffError(
        .unsupported,
        "is a head of type \(old.type), but the task's is f32, and a diff cannot change the type",
        path: tensors.checkpoint.path, tensor: old.name,
        remedy: .dropTensors(
          tensors.checkpoint.path, pattern: "\(head.name)\(tensors.separator)*"))
    }
  }

  /// The configuration, pooling, precision and number of threads, and the class weights.
  public var calculation: String {
    let weights = classWeights.map { " \($0)" } ?? ""
    return "\(configuration) \(pooling) \(engine.precision) \(engine.threads)\(weights)"
  }

  /// True if the checkpoint holds the head's values.
  public var headIsStored: Bool {
    layout.parameters.allSatisfy { !$0.isHead || storedHead($0) != nil }
  }

  /// The number of outputs of the checkpoint's head for this kind of task; nil if it has none.
  public var storedOutputs: UInt64? {
    tensors.head("\(head.name).weight")?.shape.extents.first
  }

  /// Reads the checkpoint, and draws random values for the head if the checkpoint lacks it.
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

  /// Returns the head's outputs for a batch; see the protocol.
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

  /// Returns the embeddings of a batch and the outputs of every layer: [tokens, width] each.
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

  /// Returns the head's scores: [sequences, outputs], or [tokens, 2].
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
