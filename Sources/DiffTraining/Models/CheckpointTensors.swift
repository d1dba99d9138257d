import Checkpoints
import Kernels
import TensorCore

/// The tensors of a checkpoint by the names of a model: '/' counts as '.', `LayerNorm.gamma` and
/// `.beta` as `.weight` and `.bias`, and the common prefix (`bert.` or nothing) is left out.
struct CheckpointTensors: Sendable {
  let checkpoint: any Checkpoint
  private let tensors: [TensorName: StoredTensor]
  private let prefix: String
  /// The separator in the checkpoint's names: '/' or '.'.
  let separator: String

  /// The share of a checkpoint's tensors, heads of tasks apart, that must have the prefix.
  private static let leastShare = 0.9

  /// Finds the tensors of a model in a checkpoint.
  ///
  /// - Parameter anchor: The name of a tensor that the model must have; its prefix in the
  ///   checkpoint is that of all tensors.
  /// - Throws: `mismatch` if no tensor has this name, or more than one.
  init(_ checkpoint: any Checkpoint, anchor: TensorName) throws(DiffError) {
    self.checkpoint = checkpoint
    var tensors: [TensorName: StoredTensor] = [:]
    for tensor in checkpoint.tensors { tensors[Self.plain(tensor.name)] = tensor }
    self.tensors = tensors
    let anchors = tensors.keys.filter {
      $0 == anchor || $0.description.hasSuffix(".\(anchor)")
    }.sorted()
    guard !anchors.isEmpty else {
      throw DiffError(
        .mismatch, "no tensor '\(anchor)': not a checkpoint of this type of model",
        path: checkpoint.path)
    }
    let prefixes = anchors.map { String($0.description.dropLast(anchor.description.count)) }
    let names = checkpoint.tensors.filter { !$0.isOptimizerState }
      .map { Self.plain($0.name).description }.filter { !Self.isHead($0) }
    let counts = prefixes.map { prefix in
      let inner = prefixes.filter { $0 != prefix && $0.hasPrefix(prefix) }
      return names.count { name in
        name.hasPrefix(prefix) && !inner.contains(where: name.hasPrefix)
      }
    }
    let most = counts.max() ?? 0
    guard let index = counts.firstIndex(of: most),
      Double(most) >= Self.leastShare * Double(names.count)
    else {
      let found = anchors.map { "'\($0)'" }.joined(separator: ", ")
      throw DiffError(
        .mismatch,
        anchors.count > 1
          ? "several models: \(found)"
          : "holds other things than the model of \(found): only \(most) of \(names.count) tensors "
            + "are in it; leave the others out first",
        path: checkpoint.path)
    }
    let found = anchors[index]
    prefix = prefixes[index]
    separator = tensors[found].map { $0.name.description.contains("/") } == true ? "/" : "."
  }

  /// The tensor of a name in the model, or nil.
  subscript(name: TensorName) -> StoredTensor? { tensors["\(prefix)\(name)"] }

  /// Returns the number of the encoder's layers.
  func layers(_ names: EncoderNames) -> Int {
    var count = 0
    while self[TensorName(names.query(count) + ".weight")] != nil { count += 1 }
    return count
  }

  /// Returns a tensor of the task's head, whose names have no prefix, or nil.
  func head(_ name: TensorName) -> StoredTensor? { tensors[name] }

  /// A tensor of the library's head of two layers, for RoBERTa or DistilBERT; nil without one.
  var libraryHead: StoredTensor? {
    ["pre_classifier.weight", "classifier.dense.weight", "classifier.out_proj.weight"]
      .lazy.compactMap { head(TensorName($0)) }.first
  }

  /// Whether a tensor is of a head that the transformers library puts beside the encoder.
  private static func isHead(_ name: String) -> Bool {
    let heads = [
      "classifier", "cls", "lm_head", "pre_classifier", "qa_outputs", "vocab_layer_norm",
      "vocab_projector", "vocab_transform",
    ]
    return heads.contains { name.hasPrefix($0 + ".") }
  }

  private static func plain(_ name: TensorName) -> TensorName {
    var parts = name.parts
    if parts.count > 1, parts[parts.count - 2] == "LayerNorm" {
      switch parts[parts.count - 1] {
      case "gamma": parts[parts.count - 1] = "weight"
      case "beta": parts[parts.count - 1] = "bias"
      default: break
      }
    }
    return TensorName(parts.joined(separator: "."))
  }
}

extension Checkpoint {
  /// Reads the elements of a tensor into a buffer, widened to float32.
  ///
  /// - Throws: `unsupported` for types that float32 cannot represent exactly.
  public func read(
    _ tensor: StoredTensor, into values: FloatBuffer, at offset: Int
  ) throws(DiffError) {
    guard let type = tensor.type.float, type != .f64 else {
      throw DiffError(
        .unsupported, "\(tensor.type.name) weights cannot be trained: only f32, bf16 and f16",
        path: path, tensor: tensor.name)
    }
    let count = Int(tensor.shape.count)
    let blockSize = 1 << 18
    var bytes = [UInt8](repeating: 0, count: min(count, blockSize) * type.width)
    var wide = [Double](repeating: 0, count: min(count, blockSize))
    var start = 0
    while start < count {
      let block = min(blockSize, count - start)
      var span = bytes.mutableSpan
      var part = span._mutatingExtracting(first: block * type.width)
      try read(tensor, at: UInt64(start * type.width), into: &part)
      var wideSpan = wide.mutableSpan
      var widePart = wideSpan._mutatingExtracting(first: block)
      Kernels.widen(
        bytes.span.extracting(first: block * type.width), type, factor: 1, into: &widePart)
      var out = values.mutableSpan
      for i in 0..<block { out[offset + start + i] = Float(wide[i]) }
      start += block
    }
  }
}
