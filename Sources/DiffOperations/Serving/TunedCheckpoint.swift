import Checkpoints
import DiffFormat
import TensorCore

/// The read-only result of diffs on a checkpoint, without a file.
public final class TunedCheckpoint: Checkpoint {
  /// The path of the base.
  public var path: String { overlay.model.path }
  /// The format of the base.
  public var format: CheckpointFormat? { overlay.model.format }
  /// The metadata of the base.
  public var metadata: [String: String] { overlay.model.metadata }
  /// The tensors, including inserted ones.
  public let tensors: [StoredTensor]
  private let overlay: Overlay
  /// The tensors whose shape differs from the base.
  private let reshaped: [TensorName: ResidentTensor]

  /// Reads a base and attaches diffs to it.
  ///
  /// - Throws: the errors of `PreparedDiff`.
  /// - Complexity: O(bytes of the base).
  public init(
    _ base: any Checkpoint, _ diffs: [DiffReader], allowsOtherBase: Bool = false
  ) throws(DiffError) {
    let model = try ResidentModel(base)
    let prepared = try PreparedDiff(
      reshaping: diffs, for: model, allowsOtherBase: allowsOtherBase)
    overlay = Overlay(model)
    try overlay.attach(prepared)
    let gone = prepared.deleted.union(prepared.reshaped.map(\.name))
    reshaped = Dictionary(uniqueKeysWithValues: prepared.reshaped.map { ($0.name, $0) })
    let kept = model.tensors.filter { !gone.contains($0.name) }
    let new = (prepared.inserted + prepared.reshaped).map {
      StoredTensor(name: $0.name, type: $0.type, shape: $0.shape, storage: .compact)
    }
    tensors = (kept + new).sorted { $0.name < $1.name }
  }

  /// Fills `buffer` with bytes of a tensor.
  public func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    if let reshaped = reshaped[tensor.name] {
      return try copy(reshaped.bytes.span, of: tensor, at: offset, into: &buffer)
    }
    try overlay.read { view throws(DiffError) in
      try copy(view.bytes(of: tensor.name), of: tensor, at: offset, into: &buffer)
    }
  }

  private func copy(
    _ bytes: Span<UInt8>, of tensor: StoredTensor, at offset: UInt64,
    into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard offset <= UInt64(bytes.count), buffer.count <= bytes.count - Int(offset) else {
      throw DiffError(.truncated, "read past its end", path: path, tensor: tensor.name)
    }
    buffer.copy(bytes.extracting(Int(offset)..<Int(offset) + buffer.count))
  }

  /// - Throws: `unsupported`, always: `apply` writes files.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "a model in memory cannot be written to files", path: path)
  }
}
