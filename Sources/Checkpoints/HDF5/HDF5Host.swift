import SystemSupport
import TensorCore

/// Where libhdf5 runs. It crashes on some damaged files, so by default that is a process of its
/// own: the helper `diffkit-hdf5`, one for each open file that needs it.
///
/// A caller who trusts his files may run it in his own process: `HDF5Host.inProcess`, of the
/// module `HDF5Access`, which is the one that links libhdf5. Nothing falls back to that silently.
public struct HDF5Host: Sendable {
  package let start: @Sendable (File) throws(DiffError) -> any HDF5Session

  package init(start: @escaping @Sendable (File) throws(DiffError) -> any HDF5Session) {
    self.start = start
  }

  /// The helper that the environment variable `DIFFKIT_HDF5` names, or else that lies beside the
  /// running program or the library that this code is in.
  public static let helper = HDF5Host { file throws(DiffError) in
    try HDF5Helper(HDF5Helper.find(), file)
  }

  /// The helper at a path.
  public static func helper(at path: String) -> HDF5Host {
    HDF5Host { file throws(DiffError) in try HDF5Helper(path, file) }
  }
}
