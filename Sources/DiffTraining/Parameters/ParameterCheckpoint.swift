import Checkpoints
import TensorCore

/// The parameters of a custom model as a checkpoint in memory, float32: the base that its diffs are
/// written for and applied to. `convert` writes it to a file.
///
///     let base = ParameterCheckpoint(model.layout, values)
///     try finetune.write(base, into: sink, metadata: [:])
public final class ParameterCheckpoint: Checkpoint {
  /// The name of the checkpoint in messages.
  public let path: String
  /// The parameters that are not of the head, which a base lacks.
  public let tensors: [StoredTensor]
  private let values: FloatBuffer

  /// Creates a checkpoint.
  ///
  /// - Parameters:
  ///   - layout: The layout of the model's parameters.
  ///   - values: The values in the order of the layout, which are copied.
  ///   - path: The name of the checkpoint in messages.
  public init(_ layout: ParameterLayout, _ values: FloatBuffer, path: String = "parameters") {
    self.path = path
    self.values = FloatBuffer(count: layout.count)
    self.values.copy(values)
    tensors =
      layout.parameters.filter { !$0.isHead }
      .map { parameter in
        let offset = UInt64(parameter.range.lowerBound) * 4
        return StoredTensor(
          name: parameter.name, type: .f32, shape: parameter.shape,
          storage: .contiguous(offset: offset))
      }
      .sorted { $0.name < $1.name }
  }

  /// Nil: it is in memory.
  public var format: CheckpointFormat? { nil }
  /// No metadata.
  public var metadata: [String: String] { [:] }
  /// No files.
  public var files: [String] { [] }

  /// Fills `buffer` with little-endian bytes of a parameter.
  public func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard case .contiguous(let start) = tensor.storage else { return }
    let values = values
    let first = Int(start + offset) / 4
    for number in 0..<buffer.count / 4 {
      let bits = values.span[first + number].bitPattern
      for byte in 0..<4 {
        buffer[4 * number + byte] = UInt8(truncatingIfNeeded: bits >> (8 * byte))
      }
    }
  }

  /// Throws `unsupported`: a checkpoint in memory cannot be rewritten.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(
      .unsupported, "is in memory: write it to a file with 'convert'", path: self.path)
  }
}
