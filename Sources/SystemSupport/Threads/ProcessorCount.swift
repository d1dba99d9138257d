import Platform

/// The number of processors.
package enum ProcessorCount {
  /// The number of processors that are online.
  package static let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}
