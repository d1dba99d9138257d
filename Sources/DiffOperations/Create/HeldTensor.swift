import Checkpoints
import DiffFormat
import TensorCore

/// A checkpoint of one tensor in memory, for a result of a diff that is in no file.
package final class HeldTensor: Checkpoint {
  package let path: String
  package let tensors: [StoredTensor]
  private let bytes: [UInt8]

  /// - Parameters:
  ///   - path: the path to name in errors.
  ///   - bytes: the elements, little-endian.
  package init(_ tensor: StoredTensor, of path: String, bytes: [UInt8]) {
    self.path = path
    tensors = [tensor]
    self.bytes = bytes
  }

  package var format: CheckpointFormat? { nil }
  package var metadata: [String: String] { [:] }

  package func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    let bytes = bytes
    guard offset <= UInt64(bytes.count), buffer.count <= bytes.count - Int(offset) else {
      throw DiffError(.truncated, "read past its end", path: path, tensor: tensor.name)
    }
    buffer.copy(bytes.span.extracting(Int(offset)..<Int(offset) + buffer.count))
  }

  package func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "a tensor in memory cannot be written to files", path: path)
  }
}
