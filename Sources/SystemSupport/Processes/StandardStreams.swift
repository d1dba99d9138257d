import Platform

/// The descriptors 0, 1 and 2, which a process may have been started without.
package enum StandardStreams {
  /// Keeps those that are closed from becoming other files: reading standard input and writing to the
  /// others then fails, as it should.
  package static func occupy() {
    for (descriptor, other) in [(0, O_WRONLY), (1, O_RDONLY), (2, O_RDONLY)] as [(Int32, Int32)]
    where fcntl(descriptor, F_GETFD) < 0 { _ = unsafe open("/dev/null", other) }
  }
}
