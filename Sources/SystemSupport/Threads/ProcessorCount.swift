import CLinux
import Platform

/// The number of processors.
package enum ProcessorCount {
  /// The processors that this process may run on: launchers of several processes, as `mpirun` and
  /// `taskset`, give each some.
  package static let online = max(1, min(installed, allowed ?? installed))

  /// The processors that the system has.
  package static let installed = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

  private static var allowed: Int? {
    #if os(Linux)
    let count = Int(dk_processor_count())
    return count > 0 ? count : nil
    #else
    return nil
    #endif
  }
}
