import Checkpoints
import SystemSupport
import TensorCore

extension HDF5Host {
  /// libhdf5 in this process, which a damaged file may crash. For callers that trust their files.
  ///
  /// With HDF5 before 1.12.3, opening a tensor of n chunks takes O(n²): 1 s at 8 000.
  public static let inProcess = HDF5Host { file throws(DiffError) in InProcessHDF5(file) }
}

private final class InProcessHDF5: HDF5Session {
  /// Kept open, because the server opens the file by its descriptor.
  private let file: File
  private let server: HDF5Server
  /// The library's state is in memory, which a forked process has as well.
  let isOfThisProcess = true

  init(_ file: File) {
    self.file = file
    server = HDF5Server(file.openablePath(), takesStandardOutput: false)
  }

  func call(_ request: [UInt8], limit: UInt64, seconds: Double) throws(DiffError) -> [UInt8] {
    server.reply(to: request)
  }
}
