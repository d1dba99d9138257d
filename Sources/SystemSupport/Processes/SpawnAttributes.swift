import Platform

/// The attributes of a child process: no signal is blocked, unlike in threads of Dispatch.
@safe package struct SpawnAttributes: ~Copyable {
  private let pointer = UnsafeMutablePointer<posix_spawnattr_t>.allocate(capacity: 1)

  /// Creates attributes.
  ///
  /// - Parameter apart: whether the child is in a separate process group, so that it does not get
  ///   signals of the terminal such as that of Ctrl-C.
  package init(apart: Bool = false) {
    unsafe posix_spawnattr_init(pointer)
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(pointer, &none)
    var flags = Int32(POSIX_SPAWN_SETSIGMASK)
    if apart { flags |= Int32(POSIX_SPAWN_SETPGROUP) }
    unsafe posix_spawnattr_setflags(pointer, Int16(truncatingIfNeeded: flags))
  }

  /// Calls `spawn`, which starts the child, with the attributes.
  package func use(_ spawn: (UnsafePointer<posix_spawnattr_t>) -> Int32) -> Int32 {
    unsafe spawn(pointer)
  }

  deinit {
    unsafe posix_spawnattr_destroy(pointer)
    unsafe pointer.deallocate()
  }
}
