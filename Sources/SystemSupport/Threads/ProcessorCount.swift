import Platform

/// The processors that this process may count on.
package enum ProcessorCount {
  /// How many there are.
  package static let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}
