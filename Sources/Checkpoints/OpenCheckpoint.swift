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
    let opened = try openAny(path, hdf5: host, leavingOutDamaged: leavingOutDamaged)
    guard !opened.isPublishedDelta else {
      throw DiffError(
        .notACheckpoint, "is a delta of another tool, not a checkpoint; convert it to a diff",
        path: path)
    }
    return opened
  }

  /// Opens a checkpoint, or a file or folder in its format whose tensors are those of a delta.
  package static func openAny(
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

extension Checkpoint {
  /// True if the tensors are the payloads of a delta that another tool published (spec/DELTAS.md): the
  /// index of the folder names an encoding of deltas, or each tensor is a vector of bytes with an
  /// Adler-32 in the metadata.
  ///
  /// - Complexity: O(metadata) for a checkpoint whose first tensor is no vector of bytes.
  package var isPublishedDelta: Bool {
    guard format == .safetensors else { return false }
    let metadata = metadata
    if metadata["delta_encoding"] != nil { return true }
    return !tensors.isEmpty && tensors.allSatisfy(\.isPayload)
      && skipped.allSatisfy { !$0.mayHoldNumbers }
      && tensors.allSatisfy { metadata[$0.name.description].flatMap { UInt32($0) } != nil }
  }
}

extension StoredTensor {
  fileprivate var isPayload: Bool { type == .u8 && shape.extents.count == 1 }
}
