import TensorCore

/// The names of an encoder's tensors, by family.
struct EncoderNames {
  private let isDistilled: Bool

  init(_ family: EncoderConfiguration.Family) { isDistilled = family == .distilbert }

  let words: TensorName = "embeddings.word_embeddings.weight"
  let positions: TensorName = "embeddings.position_embeddings.weight"
  let segments: TensorName = "embeddings.token_type_embeddings.weight"
  let embeddingNorm = "embeddings.LayerNorm"
  let pooler = "pooler.dense"

  func query(_ layer: Int) -> String { name(layer, "attention.self.query", "attention.q_lin") }
  func key(_ layer: Int) -> String { name(layer, "attention.self.key", "attention.k_lin") }
  func value(_ layer: Int) -> String { name(layer, "attention.self.value", "attention.v_lin") }

  func attentionOutput(_ layer: Int) -> String {
    name(layer, "attention.output.dense", "attention.out_lin")
  }

  func attentionNorm(_ layer: Int) -> String {
    name(layer, "attention.output.LayerNorm", "sa_layer_norm")
  }

  func inner(_ layer: Int) -> String { name(layer, "intermediate.dense", "ffn.lin1") }
  func output(_ layer: Int) -> String { name(layer, "output.dense", "ffn.lin2") }
  func outputNorm(_ layer: Int) -> String { name(layer, "output.LayerNorm", "output_layer_norm") }

  private func name(_ layer: Int, _ bert: String, _ distilled: String) -> String {
    isDistilled ? "transformer.layer.\(layer).\(distilled)" : "encoder.layer.\(layer).\(bert)"
  }
}
