import SystemSupport
import TensorCore

/// A folder of safetensors files that is being written.
final class SafeTensorsFolderOutput: CheckpointOutput {
  private let folder: OutputFolder
  private let parts: [SafeTensorsOutput]
  private let owners: [TensorName: Int]

  init(_ folder: OutputFolder, _ parts: [SafeTensorsOutput], _ owners: [TensorName: Int]) {
    self.folder = folder
    self.parts = parts
    self.owners = owners
  }

  private func part(_ name: TensorName) throws(DiffError) -> SafeTensorsOutput {
    guard let part = owners[name] else {
      throw DiffError(
        .usage, "was not among the changes given when the output was created",
        path: folder.destination,
        tensor: name)
    }
    return parts[part]
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) { try part(tensor.name).write(bytes, to: tensor, at: offset) }

  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor { try part(name).insert(name, type, shape) }

  func delete(_ tensor: StoredTensor) throws(DiffError) { try part(tensor.name).delete(tensor) }

  func reshape(_ tensor: StoredTensor, to shape: Shape) throws(DiffError) -> StoredTensor {
    try part(tensor.name).reshape(tensor, to: shape)
  }

  func commit() throws(DiffError) {
    for part in parts { try part.commit() }
    try folder.commit()
  }
}
