import SystemSupport
import TensorCore

extension CheckpointFile {
  /// Opens a checkpoint and detects its format: an HDF5 file, a safetensors file, or a folder of
  /// safetensors files (or the index in it).
  ///
  /// - Parameters:
  ///   - path: the path of the file, folder or index.
  ///   - host: the host of libhdf5, used if the file is HDF5.
  ///   - leavingOutDamaged: whether an HDF5 file with tensors that cannot be read is opened without
  ///     them.
  /// - Throws: `io` if it cannot be read, `notACheckpoint` with a description of the file, or the
  ///   errors of that format.
  public static func open(
    _ path: String, hdf5 host: HDF5Host = .helper, leavingOutDamaged: Bool = false
  ) throws(DiffError) -> any Checkpoint {
    if Folder.exists(path) || SafeTensorsIndex.isIndex(path) {
      return try SafeTensorsFolder(path)
    }
    switch try CheckpointFormat(contentsOf: path) {
    case .hdf5:
      return try HDF5Checkpoint(path, hdf5: host, leavingOutDamaged: leavingOutDamaged)
    case .safetensors: return try SafeTensorsCheckpoint(path)
    }
  }
}
