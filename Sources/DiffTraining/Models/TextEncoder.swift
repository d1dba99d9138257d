/// The encoder that BERT, MiniLM, RoBERTa and DistilBERT share (Devlin et al. 2019): embeddings,
/// and layers of attention and a feed-forward network, each normalized after its residual sum.
struct TextEncoder: Sendable {
  let configuration: EncoderConfiguration
  let parameters: EncoderParameters

  /// Returns the encoded tokens of a batch.
  ///
  /// - Parameters:
  ///   - onlyFirst: True if only the first token of each sequence is required; the last layer
  ///     then calculates no other.
  ///   - observe: Called with the embeddings and with the output of every layer.
  /// - Returns: [tokens, width], or [sequences, width].
  func encode(
    _ batch: PackedTokens, on tape: Tape, onlyFirst: Bool,
    observe: (FloatMatrix) -> Void = { _ in }
  ) -> Tape.Variable {
    var lookups = [(parameters.words, batch.ids), (parameters.positions, batch.positions)]
    if let segments = parameters.segments { lookups.append((segments, batch.segments)) }
    let norm = parameters.embeddingNorm
    var x = tape.normalize(  // [tokens, width]
      tape.embed(lookups), gain: norm.weight, shift: norm.bias, epsilon: configuration.epsilon)
    x = tape.drop(x, rate: configuration.dropout)
    observe(tape.value(of: x))
    for (number, layer) in parameters.layers.enumerated() {
      let isCut = onlyFirst && number == parameters.layers.count - 1
      let queries = isCut ? tape.rows(batch.starts, of: x) : x
      x = encode(
        queries, queryOffsets: isCut ? Array(batch.offsets.indices) : batch.offsets, x,
        offsets: batch.offsets, layer, on: tape)
      tape.forget(allBut: x)
      observe(tape.value(of: x))
    }
    return x
  }

  /// Applies one layer.
  private func encode(
    _ queries: Tape.Variable, queryOffsets: [Int], _ x: Tape.Variable, offsets: [Int],
    _ layer: EncoderParameters.Layer, on tape: Tape
  ) -> Tape.Variable {
    let parts = tape.linears(
      [(queries, layer.query), (x, layer.key), (x, layer.value)].map {
        ($0, $1.weight, $1.bias)
      })
    let attended = tape.attend(
      queries: parts[0], keys: parts[1], values: parts[2], queryOffsets: queryOffsets,
      offsets: offsets, heads: configuration.heads, dropout: configuration.attentionDropout)
    let middle = tape.normalize(
      tape.linear(attended, layer.attentionOutput), plus: queries,
      dropout: configuration.dropout, gain: layer.attentionNorm.weight,
      shift: layer.attentionNorm.bias, epsilon: configuration.epsilon)
    let inner = tape.linear(middle, layer.inner, activation: configuration.activation)
    return tape.normalize(
      tape.linear(inner, layer.output), plus: middle, dropout: configuration.dropout,
      gain: layer.outputNorm.weight, shift: layer.outputNorm.bias,
      epsilon: configuration.epsilon)
  }
}

extension Tape {
  /// Returns `f(x Wᵀ + b)`.
  func linear(
    _ x: Variable, _ pair: EncoderParameters.Pair, activation: Activation? = nil
  ) -> Variable {
    linear(x, pair.weight, bias: pair.bias, activation: activation)
  }
}
