import SystemSupport
import TensorCore

/// The process in which libhdf5 runs. The library crashes on some damaged files, so by default this
/// is a separate process: the helper `diffkit-hdf5`, one for each open file that needs it.
///
/// Callers that trust their files may run it in-process: with `HDF5Host.inProcess` of the module
/// `HDF5Access`, the only one that links libhdf5. There is no silent fallback to that.
public struct HDF5Host: Sendable {
  package let start: @Sendable (File) throws(DiffError) -> any HDF5Session

  package init(start: @escaping @Sendable (File) throws(DiffError) -> any HDF5Session) {
    self.start = start
  }

  /// The helper at the path in the environment variable `DIFFKIT_HDF5`, or else next to the running
  /// program or the library that contains this code.
  public static let helper = HDF5Host { file throws(DiffError) in
    try HDF5Helper(HDF5Helper.find(), file)
  }

  /// The helper at a path.
  public static func helper(at path: String) -> HDF5Host {
    HDF5Host { file throws(DiffError) in try HDF5Helper(path, file) }
  }
}
