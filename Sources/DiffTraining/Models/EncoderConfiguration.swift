import StrictJSON
import SystemSupport
import TensorCore

/// The configuration of an encoder of the BERT family, as in Hugging Face's `config.json`.
public struct EncoderConfiguration: Sendable, Hashable {
  /// A family of models; families differ in the names of tensors and in details.
  public enum Family: String, Sendable, Hashable, CaseIterable {
    /// BERT and MiniLM.
    case bert
    case roberta
    case distilbert
  }

  /// The family, which determines the names of tensors.
  public var family: Family
  /// The number of rows of the token table.
  public var vocabulary: Int
  /// The number of elements in the vector of a token.
  public var width: Int
  /// The number of layers.
  public var layers: Int
  /// The number of attention heads in each layer.
  public var heads: Int
  /// The inner width of a layer's feed-forward network.
  public var innerWidth: Int
  /// The number of rows of the position table.
  public var positions: Int
  /// The number of rows of the segment table; 0 without one.
  public var segments: Int
  /// The row of the position table for the first token.
  public var firstPosition: Int
  /// The activation of the feed-forward network.
  public var activation: Activation
  /// The number added to variances in layer normalization.
  public var epsilon: Float
  /// The share of elements that is dropped after the embeddings and after each half of a layer.
  public var dropout: Float
  /// The share of attention weights that is dropped.
  public var attentionDropout: Float
  /// The share of elements that is dropped before the head.
  public var headDropout: Float

  /// The maximum number of tokens in a sequence.
  public var longest: Int { positions - firstPosition }

  /// Reads a `config.json`.
  ///
  /// - Throws: `io`, `malformed`, or `unsupported` for models that are not implemented.
  public init(contentsOf path: String) throws(DiffError) {
    self = try File.parse(path, limit: 1 << 20) { bytes throws(DiffError) in
      try EncoderConfiguration(JSONValue(parsing: bytes))
    }
  }

  /// Reads the object of a `config.json`.
  package init(_ json: JSONValue) throws(DiffError) {
    guard let type = json["model_type"]?.text else {
      throw DiffError(.malformed, "no \"model_type\": not a model's config.json")
    }
    guard let family = Family(rawValue: type) else {
      let known = Family.allCases.map(\.rawValue).joined(separator: ", ")
      throw DiffError(.unsupported, "models of type '\(type)' are not supported: only \(known)")
    }
    self.family = family
    let object = Members(json)
    let isDistilled = family == .distilbert
    vocabulary = try object.count("vocab_size")
    width = try object.count(isDistilled ? "dim" : "hidden_size")
    layers = try object.count(isDistilled ? "n_layers" : "num_hidden_layers")
    heads = try object.count(isDistilled ? "n_heads" : "num_attention_heads")
    innerWidth = try object.count(isDistilled ? "hidden_dim" : "intermediate_size")
    positions = try object.count("max_position_embeddings")
    segments = isDistilled ? 0 : try object.count("type_vocab_size", or: 2)
    // RoBERTa numbers positions from the row after that of the padding.
    firstPosition = family == .roberta ? try object.count("pad_token_id", or: 1) + 1 : 0
    activation = try object.activation(isDistilled ? "activation" : "hidden_act")
    epsilon = isDistilled ? 1e-12 : try object.number("layer_norm_eps", or: 1e-12)
    dropout = try object.share(isDistilled ? "dropout" : "hidden_dropout_prob", or: 0.1)
    attentionDropout = try object.share(
      isDistilled ? "attention_dropout" : "attention_probs_dropout_prob", or: 0.1)
    headDropout = try object.share(
      isDistilled ? "seq_classif_dropout" : "classifier_dropout", or: isDistilled ? 0.2 : dropout)

    try object.refuse("position_embedding_type", unless: .string("absolute"))
    try object.refuse("is_decoder", unless: .bool(false))
    try object.refuse("add_cross_attention", unless: .bool(false))
    guard width % heads == 0 else {
      throw DiffError(.malformed, "\(heads) heads do not divide the width of \(width)")
    }
    guard longest > 0 else {
      throw DiffError(.malformed, "max_position_embeddings leaves no position for a token")
    }
  }
}

/// Checked access to the members of a configuration.
private struct Members {
  let json: JSONValue

  init(_ json: JSONValue) { self.json = json }

  /// A member, or nil if it is absent or null.
  private subscript(name: String) -> JSONValue? {
    json[name].flatMap { $0 == .null ? nil : $0 }
  }

  func count(_ name: String, or standard: Int? = nil) throws(DiffError) -> Int {
    guard let value = self[name] else {
      if let standard { return standard }
      throw DiffError(.malformed, "no \"\(name)\"")
    }
    // Only the padding, the index of a row, may be 0.
    guard let count = value.unsigned, count < 1 << 31, count > 0 || name == "pad_token_id" else {
      throw DiffError(.malformed, "\"\(name)\" is \(value.compact), not a count")
    }
    return Int(count)
  }

  func number(_ name: String, or standard: Float) throws(DiffError) -> Float {
    guard let value = self[name] else { return standard }
    guard let number = value.double, number > 0, number < 1 else {
      throw DiffError(.malformed, "\"\(name)\" is \(value.compact), not between 0 and 1")
    }
    return Float(number)
  }

  func share(_ name: String, or standard: Float) throws(DiffError) -> Float {
    guard let value = self[name] else { return standard }
    guard let share = value.double, share >= 0, Float(share) < 1 else {
      throw DiffError(.malformed, "\"\(name)\" is \(value.compact), not a share below 1")
    }
    return Float(share)
  }

  func activation(_ name: String) throws(DiffError) -> Activation {
    switch self[name]?.text ?? "gelu" {
    case "gelu", "gelu_python": return .gelu
    case "gelu_new", "gelu_fast", "gelu_pytorch_tanh": return .geluTanh
    case "relu": return .relu
    case "tanh": return .tanh
    case let other:
      throw DiffError(.unsupported, "\"\(name)\" is '\(other)', which is not implemented")
    }
  }

  func refuse(_ name: String, unless only: JSONValue) throws(DiffError) {
    if let value = self[name], value != only {
      throw DiffError(
        .unsupported, "\"\(name)\" is \(value.compact), but only \(only.compact) is implemented")
    }
  }
}
