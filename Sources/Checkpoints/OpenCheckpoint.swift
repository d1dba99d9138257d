import TensorCore

/// Opens a checkpoint of whatever format the file at `path` is in.
///
/// - Throws: `io` if it cannot be read, `notACheckpoint` if it is no checkpoint.
public func openCheckpoint(_ path: String) throws(DiffError) -> any Checkpoint {
  try HDF5Checkpoint(path)
}
