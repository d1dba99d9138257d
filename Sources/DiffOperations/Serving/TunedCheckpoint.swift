import Checkpoints
import DiffFormat
import TensorCore

/// What a checkpoint becomes by diffs, without a file: for reading.
public final class TunedCheckpoint: Checkpoint {
  /// The path of the base.
  public var path: String { overlay.model.path }
  /// The format of the base.
  public var format: CheckpointFormat? { overlay.model.format }
  /// The facts that the base states about itself.
  public var metadata: [String: String] { overlay.model.metadata }
  /// The tensors, those that the diffs insert among them.
  public let tensors: [StoredTensor]
  private let overlay: Overlay

  /// Reads a base and attaches diffs to it.
  ///
  /// - Throws: what `PreparedDiff` throws.
  /// - Complexity: O(bytes of the base).
  public init(
    _ base: any Checkpoint, _ diffs: [DiffReader], allowsOtherBase: Bool = false
  ) throws(DiffError) {
    let model = try ResidentModel(base)
    let prepared = try PreparedDiff(diffs, for: model, allowsOtherBase: allowsOtherBase)
    overlay = Overlay(model)
    try overlay.attach(prepared)
    let kept = model.tensors.filter { !prepared.deleted.contains($0.name) }
    let new = prepared.inserted.map {
      StoredTensor(name: $0.name, type: $0.type, shape: $0.shape, storage: .compact)
    }
    tensors = (kept + new).sorted { $0.name < $1.name }
  }

  /// Fills `buffer` with bytes of a tensor.
  public func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    try overlay.read { view throws(DiffError) in
      let bytes = try view.bytes(of: tensor.name)
      guard offset <= UInt64(bytes.count), buffer.count <= bytes.count - Int(offset) else {
        throw DiffError(.truncated, "read past its end", path: path, tensor: tensor.name)
      }
      buffer.copy(bytes.extracting(Int(offset)..<Int(offset) + buffer.count))
    }
  }

  /// - Throws: always, `unsupported`: `apply` writes files.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "a model in memory is not written to files", path: path)
  }
}
