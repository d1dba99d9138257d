import Checkpoints
import DiffFormat
import Synchronization
import TensorCore

/// Tensors in the caller's memory, from which diffs are made.
@safe final class CallerTensors: Checkpoint, @unchecked Sendable {
  let path: String
  let format: CheckpointFormat? = nil
  let metadata: [String: String] = [:]
  /// Empty: tensors in memory are not watched for changes.
  let files: [String] = []
  let tensors: [StoredTensor]
  private let addresses: [UnsafeRawPointer?]
  private let isStopped: StopFlag

  /// A tensor, and the address of its bytes.
  @safe struct Tensor {
    let name: TensorName
    let type: ElementType
    let shape: Shape
    let bytes: UnsafeRawPointer?
  }

  /// - Throws: `usage` if two tensors have the same name.
  init(_ tensors: [Tensor], called path: String, _ isStopped: StopFlag) throws(DiffError) {
    self.path = path
    self.isStopped = isStopped
    unsafe addresses = tensors.map { unsafe $0.bytes }
    self.tensors = tensors.enumerated().map { index, tensor in
      StoredTensor(
        name: tensor.name, type: tensor.type, shape: tensor.shape, storage: .compact, file: index)
    }
    .sorted { $0.name < $1.name }
    for (one, next) in zip(self.tensors, self.tensors.dropFirst()) where one.name == next.name {
      throw DiffError(.usage, "there are two tensors of this name", path: path, tensor: one.name)
    }
  }

  func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard !isStopped.isSet else { throw .stopped }
    guard let address = unsafe addresses[tensor.file] else { return }
    let bytes = unsafe UnsafeRawBufferPointer(start: address + Int(offset), count: buffer.count)
    unsafe buffer.copy(bytes.bindMemory(to: UInt8.self).span)
  }

  func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "tensors in memory are not written to files", path: path)
  }
}

/// A flag that is set when the caller asks to stop.
final class StopFlag: Sendable {
  private let flag = Atomic(false)

  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}

extension DiffError {
  static let stopped = DiffError(.stopped, "stopped by the caller")
}
