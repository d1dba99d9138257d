import Checkpoints
import DiffTraining
import Kernels
import SystemSupport
import TensorCore

/// A BERT of some size with weights of chance, as the files of a user.
struct BertShape {
  let name: String
  let layers, width, heads: Int

  static let small = BertShape(name: "MiniLM-L6", layers: 6, width: 384, heads: 12)
  static let base = BertShape(name: "BERT-base", layers: 12, width: 768, heads: 12)
  static let large = BertShape(name: "BERT-large", layers: 24, width: 1024, heads: 16)

  private static let words = 30522

  /// The elements that every step reads, and those of a row of the tables.
  var dense: Int { layers * (12 * width * width + 13 * width) + width * width + 3 * width }
  /// All elements.
  var elements: Int { dense + (Self.words + 514) * width }

  /// Writes `model.safetensors` and `config.json`.
  func write(to folder: String) throws {
    var shapes: [(name: TensorName, type: ElementType, shape: Shape)] = []
    func add(_ name: String, _ extents: Int...) {
      guard let shape = Shape(extents.map { UInt64($0) }) else { return }
      shapes.append((TensorName(name), .f32, shape))
    }
    func linear(_ name: String, _ rows: Int, _ columns: Int) {
      add(name + ".weight", rows, columns)
      add(name + ".bias", rows)
    }
    func norm(_ name: String) {
      add(name + ".weight", width)
      add(name + ".bias", width)
    }
    add("embeddings.word_embeddings.weight", Self.words, width)
    add("embeddings.position_embeddings.weight", 512, width)
    add("embeddings.token_type_embeddings.weight", 2, width)
    norm("embeddings.LayerNorm")
    for number in 0..<layers {
      let layer = "encoder.layer.\(number)."
      for part in ["query", "key", "value"] {
        linear(layer + "attention.self." + part, width, width)
      }
      linear(layer + "attention.output.dense", width, width)
      norm(layer + "attention.output.LayerNorm")
      linear(layer + "intermediate.dense", 4 * width, width)
      linear(layer + "output.dense", width, 4 * width)
      norm(layer + "output.LayerNorm")
    }
    linear("pooler.dense", width, width)
    let (output, tensors) = try CheckpointFile.make(
      at: folder + "/model.safetensors", .safetensors, shapes)
    var random = SplitMix64(seed: 11)
    for tensor in tensors {
      let isGain = tensor.name.description.hasSuffix("LayerNorm.weight")
      let isShift = tensor.name.description.hasSuffix("bias")
      for start in stride(from: UInt64(0), to: tensor.byteCount, by: 1 << 20) {
        var bytes: [UInt8] = []
        let count = Int(min(1 << 20, tensor.byteCount - start)) / 4
        bytes.reserveCapacity(4 * count)
        for _ in 0..<count {
          let value: Float = isGain ? 1 : isShift ? 0 : Float(random.gaussian()) * 0.02
          bytes.append(littleEndian: value.bitPattern)
        }
        try output.write(bytes.span, to: tensor, at: start)
      }
    }
    try output.commit()
    let file = try File(creating: folder + "/config.json")
    let json = """
      {"model_type": "bert", "vocab_size": \(Self.words), "hidden_size": \(width),
       "num_hidden_layers": \(layers), "num_attention_heads": \(heads),
       "intermediate_size": \(4 * width), "max_position_embeddings": 512, "type_vocab_size": 2}
      """
    try file.write(Array(json.utf8).span, at: 0)
  }

  /// A model that `write` has written.
  static func open(_ folder: String, _ engine: Engine) throws -> EncoderModel {
    try EncoderModel(
      EncoderConfiguration(contentsOf: folder + "/config.json"),
      checkpoint: CheckpointFile.open(folder + "/model.safetensors"), head: .classes(2),
      engine: engine)
  }

  /// Examples of 32 tokens of chance, about as long as a review's sentence.
  static func examples(_ count: Int) -> [TokenExample] {
    var random = SplitMix64(seed: 12)
    return (0..<count).map { number in
      TokenExample(
        ids: (0..<32).map { _ in Int32(1000 + random.next(below: 20000)) },
        target: .label(number % 2))
    }
  }
}
