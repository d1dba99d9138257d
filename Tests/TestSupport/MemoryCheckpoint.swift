import Checkpoints
import Synchronization
import TensorCore

/// A tensor of a `MemoryCheckpoint`.
package struct MemoryTensor: Sendable {
  package var name: TensorName
  package var type: ElementType
  package var shape: Shape
  package var bytes: [UInt8]
  package var aliases: [TensorName] = []

  package init(_ name: TensorName, _ type: ElementType, _ shape: Shape, _ bytes: [UInt8]) {
    precondition(bytes.count == Int(shape.count) * type.width)
    self.name = name
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }

  /// Creates a vector.
  package init(_ name: TensorName, _ type: ElementType, _ bytes: [UInt8]) {
    let elements = UInt64(bytes.count / type.width * type.unit)
    guard let shape = Shape([elements], of: type) else { preconditionFailure("no vector") }
    self.init(name, type, shape, bytes)
  }

  package var fingerprint: Fingerprint { .of(type, shape, bytes.span) }
}

/// A checkpoint in memory: any type, shape and name, no file format.
package final class MemoryCheckpoint: Checkpoint {
  package let path: String
  package let format: CheckpointFormat? = nil
  package let metadata: [String: String] = [:]
  package let tensors: [StoredTensor]
  private let contents: [TensorName: [UInt8]]
  private let committed = Mutex<[String: MemoryCheckpoint]>([:])
  private let begun = Mutex(0)

  /// - Parameter contiguous: True if outputs do not copy tensors that are rewritten, as HDF5 does
  ///   with contiguous tensors.
  package init(_ tensors: [MemoryTensor], path: String = "memory", contiguous: Bool = true) {
    self.path = path
    let sorted = tensors.sorted { $0.name < $1.name }
    self.tensors = sorted.map {
      StoredTensor($0, storage: contiguous ? .contiguous(offset: 0) : .compact)
    }
    contents = Dictionary(uniqueKeysWithValues: sorted.map { ($0.name, $0.bytes) })
  }

  /// The number of outputs that were begun.
  package var outputsBegun: Int { begun.withLock { $0 } }

  /// Returns the checkpoint that was committed at a path.
  package func output(_ path: String) -> MemoryCheckpoint? { committed.withLock { $0[path] } }

  /// The contents, in order.
  package var all: [MemoryTensor] {
    tensors.map { MemoryTensor($0.name, $0.type, $0.shape, contents[$0.name] ?? []) }
  }

  package func bytes(_ name: TensorName) -> [UInt8]? { contents[name] }

  package func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard let bytes = contents[tensor.name] else {
      throw DiffError(.io, "no such tensor", path: path, tensor: tensor.name)
    }
    buffer.copy(bytes.span.extracting(Int(offset)..<Int(offset) + buffer.count))
  }

  package func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    guard overwriting || output(path) == nil else { throw DiffError(.exists, "exists", path: path) }
    begun.withLock { $0 += 1 }
    var copy = contents
    for tensor in tensors where rewriting.contains(tensor.name) {
      // Tensors that the caller promised to rewrite are not copied.
      guard case .contiguous = tensor.storage else { continue }
      copy[tensor.name] = [UInt8](repeating: 0, count: Int(tensor.byteCount))
    }
    return MemoryOutput(path, tensors, copy) { made in
      self.committed.withLock { $0[path] = made }
    }
  }
}

extension StoredTensor {
  fileprivate init(_ tensor: MemoryTensor, storage: Storage) {
    self.init(tensor.name, tensor.type, tensor.shape, storage, aliases: tensor.aliases)
  }
}
