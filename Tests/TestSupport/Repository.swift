#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The paths of test data.
package enum Repository {
  /// The folder of the package.
  package static let path =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/")

  /// The small HDF5 file with many features.
  package static let base = path + "/Tests/CheckpointsTests/Resources/base.h5"

  /// The folder of real checkpoints, which is not part of the repository.
  package static let shared = path + "/../shared/data"

  package static var haveShared: Bool { FileManager.default.fileExists(atPath: shared) }
}
