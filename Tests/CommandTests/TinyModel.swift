import Foundation
import TensorCore
import TestSupport

/// A BERT of one layer with random weights, in the files that a user has: small enough to be
/// trained in a test on any machine.
struct TinyModel {
  let path: String

  private static let width: UInt64 = 64
  private static let resources = Repository.path + "/Tests/DiffTrainingTests/Resources/"
  /// Questions on contexts, in the format of SQuAD.
  static let questions = resources + "questions.json"

  /// Writes base.safetensors, with a number of layers, and config.json, of one layer, and vocab.txt.
  init(_ scratch: Scratch, layers: Int = 1) throws {
    path = scratch("base.safetensors")
    let vocabulary = try String(contentsOfFile: Self.resources + "vocab.txt", encoding: .utf8)
    try vocabulary.write(toFile: scratch("vocab.txt"), atomically: true, encoding: .utf8)
    let words = vocabulary.split(separator: "\n").count
    try """
    {"model_type": "bert", "vocab_size": \(words), "hidden_size": 64, "num_hidden_layers": 1,
     "num_attention_heads": 4, "intermediate_size": 128, "max_position_embeddings": 64}
    """.write(toFile: scratch("config.json"), atomically: true, encoding: .utf8)

    var header: [String] = []
    var values = Data()
    var random = SplitMix64(seed: 5)
    func append(_ name: String, _ extents: [UInt64], _ element: () -> Float) {
      let start = values.count
      for _ in 0..<extents.reduce(1, *) {
        values.append(contentsOf: element().bitPattern.littleEndianBytes)
      }
      header.append(
        #""\#(name)":{"dtype":"F32","shape":\#(extents),"data_offsets":[\#(start),\#(values.count)]}"#
      )
    }
    func weight(_ name: String, _ extents: [UInt64]) {
      append(name, extents) { Float(random.gaussian()) * 0.1 }
    }
    func linear(_ name: String, _ rows: UInt64, _ columns: UInt64) {
      weight(name + ".weight", [rows, columns])
      append(name + ".bias", [rows]) { 0 }
    }
    func norm(_ name: String) {
      append(name + ".weight", [Self.width]) { 1 }
      append(name + ".bias", [Self.width]) { 0 }
    }
    let width = Self.width
    weight("embeddings.word_embeddings.weight", [UInt64(words), width])
    weight("embeddings.position_embeddings.weight", [64, width])
    weight("embeddings.token_type_embeddings.weight", [2, width])
    norm("embeddings.LayerNorm")
    for number in 0..<layers {
      let layer = "encoder.layer.\(number)."
      for name in ["query", "key", "value"] {
        linear(layer + "attention.self." + name, width, width)
      }
      linear(layer + "attention.output.dense", width, width)
      norm(layer + "attention.output.LayerNorm")
      linear(layer + "intermediate.dense", 2 * width, width)
      linear(layer + "output.dense", width, 2 * width)
      norm(layer + "output.LayerNorm")
    }
    linear("pooler.dense", width, width)
    let json = Data("{\(header.joined(separator: ","))}".utf8)
    let length = Data(UInt64(json.count).littleEndianBytes)
    try (length + json + values).write(to: URL(filePath: path))
  }
}
