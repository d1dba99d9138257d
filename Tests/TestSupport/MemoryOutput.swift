import Checkpoints
import Synchronization
import TensorCore

/// The output of a `MemoryCheckpoint`.
final class MemoryOutput: CheckpointOutput {
  private struct State {
    var tensors: [StoredTensor]
    var contents: [TensorName: [UInt8]]
  }

  private let path: String
  private let state: Mutex<State>
  private let publish: @Sendable (MemoryCheckpoint) -> Void

  init(
    _ path: String, _ tensors: [StoredTensor], _ contents: [TensorName: [UInt8]],
    _ publish: @escaping @Sendable (MemoryCheckpoint) -> Void
  ) {
    self.path = path
    state = Mutex(State(tensors: tensors, contents: contents))
    self.publish = publish
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) {
    var copy: [UInt8] = []
    copy.append(copying: bytes)
    let start = Int(offset)
    let isThere = state.withLock { [copy] state in
      guard let old = state.contents[tensor.name], start + copy.count <= old.count else {
        return false
      }
      state.contents[tensor.name]?.replaceSubrange(start..<start + copy.count, with: copy)
      return true
    }
    guard isThere else { throw DiffError(.io, "written outside", path: path, tensor: tensor.name) }
  }

  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor {
    let tensor = StoredTensor(name, type, shape, .contiguous(offset: 0))
    let isNew = state.withLock { state in
      guard state.contents[name] == nil else { return false }
      state.tensors.append(tensor)
      state.contents[name] = [UInt8](repeating: 0, count: Int(tensor.byteCount))
      return true
    }
    guard isNew else { throw DiffError(.mismatch, "is there", path: path, tensor: name) }
    return tensor
  }

  func delete(_ tensor: StoredTensor) throws(DiffError) {
    let wasThere = state.withLock { state in
      state.tensors.removeAll { $0.name == tensor.name }
      return state.contents.removeValue(forKey: tensor.name) != nil
    }
    guard wasThere else { throw DiffError(.io, "not there", path: path, tensor: tensor.name) }
  }

  func commit() throws(DiffError) {
    let tensors = state.withLock { state in
      state.tensors.map { tensor in
        var made = MemoryTensor(
          tensor.name, tensor.type, tensor.shape, state.contents[tensor.name] ?? [])
        made.aliases = tensor.aliases
        return made
      }
    }
    publish(MemoryCheckpoint(tensors, path: path))
  }
}

extension StoredTensor {
  /// Creates a tensor in memory.
  init(
    _ name: TensorName, _ type: ElementType, _ shape: Shape, _ storage: Storage,
    aliases: [TensorName] = []
  ) {
    self.init(
      name: name, aliases: aliases, type: type, shape: shape, isBigEndian: false,
      storage: storage)
  }
}
