import SystemSupport
import TensorCore

/// A running `diffkit-hdf5` process.
package final class HDF5Helper: HDF5Session {
  /// The protocol version, which must be the same on both sides; it changes with every change of
  /// the messages.
  package static let version = "5"
  /// The helper's exit status if it has another version.
  package static let otherVersion: Int32 = 65
  /// The helper's exit status if its file no longer exists.
  package static let otherFile: Int32 = 66

  private let path: String
  private let process: Guarded<HelperProcess?>

  init(_ path: String, _ file: File) throws(DiffError) {
    self.path = path
    // The environment must not control the library.
    let environment = ProgramFiles.environment { !$0.hasPrefix("HDF5_") }
    process = Guarded(
      try HelperProcess(
        path, [Self.version, file.openablePath(as: HelperProcess.fileDescriptor)],
        environment: environment + ["HDF5_USE_FILE_LOCKING=FALSE", "HDF5_PLUGIN_PRELOAD=::"],
        file: file))
  }

  package var isOfThisProcess: Bool { process.withLock { $0?.isOfThisProcess ?? true } }

  package func call(
    _ request: [UInt8], limit: UInt64, seconds: Double
  ) throws(DiffError) -> [UInt8] {
    try process.withLock { process throws(DiffError) in
      guard let helper = process else {
        throw DiffError(.io, "the HDF5 helper has already ended")
      }
      do throws(MessageChannel.Failure) {
        return try helper.call(request, limit: limit, seconds: seconds)
      } catch {
        process = nil
        throw explain(error, helper, seconds)
      }
    }
  }

  /// Returns the error for a call without a reply.
  private func explain(
    _ failure: MessageChannel.Failure, _ helper: HelperProcess, _ seconds: Double
  ) -> DiffError {
    switch failure {
    case .tooLong: return .brokenMessage
    case .late:
      return DiffError(
        .unsupportedCheckpoint,
        "libhdf5 took more than \(Int(seconds)) seconds on this file, so it was stopped",
        cause: failure)
    case .closed: break
    }
    switch helper.end(killing: false) {
    case .exit(Self.otherVersion):
      return DiffError(.io, "'\(path)' is from another version of diffkit; install both together")
    case .exit(Self.otherFile):
      return DiffError(.changed, "was moved or replaced while it was read")
    case .exit(let code):
      return DiffError(.io, "the helper '\(path)' ended with exit code \(code)")
    case .signal(let signal):
      return DiffError(
        .unsupportedCheckpoint,
        "libhdf5 crashed on this file (signal \(signal)): it is damaged or malicious")
    }
  }

  /// Returns the path of the helper.
  ///
  /// - Throws: `io` with the folders that were searched.
  static func find() throws(DiffError) -> String {
    let name = "diffkit-hdf5"
    if let path = ProgramFiles.environmentVariable("DIFFKIT_HDF5"), !path.isEmpty {
      guard ProgramFiles.isExecutable(path) else {
        throw DiffError(.io, "DIFFKIT_HDF5 names a file that is not executable", path: path)
      }
      return path
    }
    let folders = ProgramFiles.folders
    for folder in folders where ProgramFiles.isExecutable("\(folder)/\(name)") {
      return "\(folder)/\(name)"
    }
    throw DiffError(
      .io,
      "HDF5 files need the helper program '\(name)', which is not in "
        + "\(folders.joined(separator: " or ")); put it there, or set DIFFKIT_HDF5 to its path")
  }
}
