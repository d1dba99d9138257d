import StrictJSON
import TensorCore

extension CheckpointFile {
  /// Starts a new checkpoint at `path` with `tensors`, whose elements are undefined until the
  /// caller has written all of them; returns it with the tensors as they will be stored.
  ///
  /// - Parameters:
  ///   - path: the path of the new file.
  ///   - format: the format of the file.
  ///   - tensors: names, types and shapes, each name once.
  ///   - metadata: metadata of the file: `__metadata__` in safetensors, attributes of the root
  ///     group in HDF5.
  ///   - host: the host of libhdf5.
  ///   - overwriting: whether an existing file may be replaced.
  /// - Throws: `exists` or `io`; `unsupported` for a name or type that the format does not support.
  public static func make(
    at path: String, _ format: CheckpointFormat,
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)],
    metadata: [String: String] = [:],
    hdf5 host: HDF5Host = .helper, overwriting: Bool = false
  ) throws(DiffError) -> (output: any CheckpointOutput, tensors: [StoredTensor]) {
    let output: any CheckpointOutput
    switch format {
    case .hdf5:
      output = try HDF5Output(
        creating: path, metadata: metadata, hdf5: host, overwriting: overwriting)
    case .safetensors:
      var header = SafeTensorsHeader()
      if !metadata.isEmpty {
        header.metadata = metadata.sorted { $0.key < $1.key }.map {
          .init($0.key, .string($0.value))
        }
      }
      let changes = tensors.map { TableChange.insert($0.name, $0.type, $0.shape) }
      output = try SafeTensorsOutput(
        path, header.changed(by: changes).header, overwriting: overwriting)
    }
    return (output, try output.insert(tensors))
  }
}
