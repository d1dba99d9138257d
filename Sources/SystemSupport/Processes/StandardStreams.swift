import Platform

/// The descriptors 0, 1 and 2, which may be closed when a process is started.
package enum StandardStreams {
  /// Prevents closed standard streams from becoming other files: reading standard input and writing
  /// to the others then fails as it should.
  package static func occupy() {
    for (descriptor, other) in [(0, O_WRONLY), (1, O_RDONLY), (2, O_RDONLY)] as [(Int32, Int32)]
    where fcntl(descriptor, F_GETFD) < 0 { _ = unsafe open("/dev/null", other) }
  }
}
