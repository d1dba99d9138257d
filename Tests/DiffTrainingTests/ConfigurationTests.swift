import Checkpoints
import DiffTraining
import StrictJSON
import TensorCore
import Testing
import TestSupport

@Suite struct ConfigurationTests {
  private static let bert = """
    {"model_type":"bert","vocab_size":60,"hidden_size":32,"num_hidden_layers":2,
     "num_attention_heads":4,"intermediate_size":48,"hidden_act":"gelu",
     "max_position_embeddings":16,"type_vocab_size":2,"layer_norm_eps":1e-12}
    """

  private func configuration(_ text: String) throws -> EncoderConfiguration {
    try EncoderConfiguration(JSONValue(parsing: Array(text.utf8)))
  }

  @Test("missing members have the defaults of Hugging Face")
  func defaults() throws {
    let configuration = try self.configuration(Self.bert)
    #expect(configuration.dropout == 0.1 && configuration.attentionDropout == 0.1)
    #expect(configuration.headDropout == 0.1 && configuration.longest == 16)
    let roberta = try self.configuration(
      Self.bert.replacing("\"bert\"", with: "\"roberta\",\"pad_token_id\":1"))
    #expect(roberta.firstPosition == 2 && roberta.longest == 14)
  }

  @Test(
    "a configuration that is invalid or not implemented is refused by name",
    arguments: [
      ("\"bert\"", "\"gpt2\"", "'gpt2'"),
      ("\"gelu\"", "\"silu\"", "\"hidden_act\" is 'silu'"),
      ("\"layer_norm_eps\":1e-12", "\"position_embedding_type\":\"relative_key\"", "absolute"),
      ("\"layer_norm_eps\":1e-12", "\"is_decoder\":true", "is_decoder"),
      ("\"layer_norm_eps\":1e-12", "\"layer_norm_eps\":-1", "layer_norm_eps"),
      ("\"layer_norm_eps\":1e-12", "\"hidden_dropout_prob\":1.0", "share below 1"),
      ("\"num_attention_heads\":4", "\"num_attention_heads\":5", "do not divide"),
      ("\"num_attention_heads\":4", "\"num_attention_heads\":0", "not a count"),
      ("\"vocab_size\":60", "\"vocab_size\":-60", "not a count"),
      ("\"vocab_size\":60,", "", "no \"vocab_size\""),
      ("\"model_type\":\"bert\",", "", "model_type"),
      (
        "\"bert\",\"vocab_size\":60", "\"roberta\",\"pad_token_id\":99,\"vocab_size\":60",
        "no position"
      ),
    ])
  func refused(_ from: String, _ to: String, _ message: String) throws {
    let error = #expect(throws: DiffError.self) {
      try configuration(Self.bert.replacing(from, with: to))
    }
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }

  @Test("a checkpoint that does not fit its configuration is refused by tensor")
  func wrongCheckpoint() throws {
    let path = Repository.path + "/Tests/DiffTrainingTests/Resources/encoder-bert.safetensors"
    let checkpoint = try CheckpointFile.open(path)
    func error(_ from: String, _ to: String) throws -> DiffError? {
      let configuration = try self.configuration(Self.bert.replacing(from, with: to))
      return #expect(throws: DiffError.self) {
        try EncoderModel(configuration, checkpoint: checkpoint, head: .classes(2))
      }
    }
    let layers = try error("\"num_hidden_layers\":2", "\"num_hidden_layers\":3")
    #expect(layers?.tensor == "encoder.layer.2.attention.self.query.weight")
    #expect(layers?.message.contains("missing") == true)
    let vocabulary = try error("60", "61")
    #expect(vocabulary?.tensor == "bert.embeddings.word_embeddings.weight")
    #expect(vocabulary?.message.contains("[60, 32], but config.json requires [61, 32]") == true)
    #expect(try error("60", "2000000000")?.code == .mismatch)
    let configuration = try self.configuration(Self.bert)
    let one = #expect(throws: DiffError.self) {
      try EncoderModel(configuration, checkpoint: checkpoint, head: .classes(1))
    }
    #expect(one?.code == .usage)
    let other = #expect(throws: DiffError.self) {
      try EncoderModel(
        configuration, checkpoint: CheckpointFile.open(Repository.base), head: .number)
    }
    #expect(other?.message.contains("not a checkpoint of this type of model") == true)
  }

  @Test("of several models in a checkpoint, the one that nine of ten tensors are of is taken")
  func prefixes() throws {
    let path = Repository.path + "/Tests/DiffTrainingTests/Resources/encoder-bert.safetensors"
    let source = try CheckpointFile.open(path)
    let model = try source.tensors.map { tensor in
      let bytes = try source.bytes(of: tensor)
      return MemoryTensor(tensor.name, tensor.type, tensor.shape, bytes)
    }
    let configuration = try self.configuration(Self.bert)
    func open(_ more: [MemoryTensor]) throws {
      _ = try EncoderModel(
        configuration, checkpoint: MemoryCheckpoint(model + more), head: .classes(2))
    }
    func copies(_ prefix: String) -> [MemoryTensor] {
      model.map { tensor in
        var copy = tensor
        copy.name = "\(prefix)\(tensor.name)"
        return copy
      }
    }
    let others = (0..<model.count).map { MemoryTensor("vision.\($0)", .f32, [0, 0, 0, 0]) }
    let words = try #require(
      copies("small.").first { $0.name.description.hasSuffix("word_embeddings.weight") })
    // A table more, and what the library's heads have.
    try open([words])
    try open(others.map { MemoryTensor("cls.\($0.name)", .f32, $0.bytes) })
    let several = #expect(throws: DiffError.self) { try open(copies("teacher.")) }
    #expect(several?.message.contains("several models: 'bert.embeddings") == true)
    let foreign = #expect(throws: DiffError.self) { try open(others) }
    #expect(foreign?.message.contains("holds other things than the model") == true)
  }

  @Test("a table of more tokens than the configuration has is taken as it is")
  func grownTable() throws {
    let path = Repository.path + "/Tests/DiffTrainingTests/Resources/encoder-bert.safetensors"
    let configuration = try self.configuration(Self.bert.replacing("60", with: "58"))
    let model = try EncoderModel(
      configuration, checkpoint: CheckpointFile.open(path), head: .classes(2))
    #expect(model.configuration.vocabulary == 60)
  }
}
