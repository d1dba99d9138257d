import CHDF5
import Platform
import SystemSupport

/// Limits that a process sets for itself before it reads untrusted input.
enum Confinement {
  /// Limits memory, forbids core dumps, and allows two files in addition to the first four (libhdf5
  /// opens a file that it creates twice); without `writing`, forbids writing to files.
  static func begin(memory: UInt64, writing: Bool) {
    for descriptor: Int32 in 4..<1024 { close(descriptor) }
    #if os(Linux)
    limit(RLIMIT_AS, memory)
    #endif
    limit(RLIMIT_CORE, 0)
    limit(RLIMIT_NOFILE, 6)
    if !writing { limit(RLIMIT_FSIZE, 0) }
  }

  /// Limits this process to `seconds` more of processor time; beyond that it is killed.
  static func allow(seconds: UInt64) {
    var usage = rusage()
    #if canImport(Glibc)
    unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
    #else
    unsafe getrusage(RUSAGE_SELF, &usage)
    #endif
    let used = UInt64(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
    var limits = rlimit()
    unsafe getrlimit(resource(RLIMIT_CPU), &limits)
    limits.rlim_cur = min(limits.rlim_max, rlim_t(used + seconds + 1))
    unsafe setrlimit(resource(RLIMIT_CPU), &limits)
  }

  /// Ends this process as soon as the other end of a socket is closed, even during a call that
  /// never returns.
  static func endWithPeer(of channel: MessageChannel) {
    _ = BackgroundThread.start {
      var state = pollfd(fd: channel.descriptor, events: 0, revents: 0)
      while unsafe poll(&state, 1, -1) <= 0 {}
      _exit(0)
    }
  }
}

#if canImport(Glibc)
private typealias Resource = __rlimit_resource
private func resource(_ resource: Resource) -> __rlimit_resource_t {
  __rlimit_resource_t(resource.rawValue)
}
#else
private typealias Resource = Int32
private func resource(_ resource: Resource) -> Int32 { resource }
#endif

private func limit(_ kind: Resource, _ value: UInt64) {
  var limits = rlimit(rlim_cur: rlim_t(value), rlim_max: rlim_t(value))
  unsafe setrlimit(resource(kind), &limits)
}
