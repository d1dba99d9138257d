import Platform

/// How a child begins: hearing all signals, which the threads of Dispatch do not.
@safe package struct SpawnAttributes: ~Copyable {
  private let pointer = UnsafeMutablePointer<posix_spawnattr_t>.allocate(capacity: 1)

  /// - Parameter apart: whether what the terminal sends to this process, such as the signal of
  ///   Ctrl-C, is not for the child.
  package init(apart: Bool = false) {
    unsafe posix_spawnattr_init(pointer)
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(pointer, &none)
    var flags = Int32(POSIX_SPAWN_SETSIGMASK)
    if apart { flags |= Int32(POSIX_SPAWN_SETPGROUP) }
    unsafe posix_spawnattr_setflags(pointer, Int16(truncatingIfNeeded: flags))
  }

  /// Calls what starts the child.
  package func use(_ spawn: (UnsafePointer<posix_spawnattr_t>) -> Int32) -> Int32 {
    unsafe spawn(pointer)
  }

  deinit {
    unsafe posix_spawnattr_destroy(pointer)
    unsafe pointer.deallocate()
  }
}
