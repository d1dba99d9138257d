import Platform
import Synchronization

/// What happens on SIGINT, SIGTERM and SIGHUP: temporary files go, and what must not be left half
/// done is finished first; then the process ends by the signal.
///
/// The handler itself only writes a byte into a pipe, which is all that a handler may safely do;
/// a thread at its other end does the work.
package enum Interruption {
  /// Files and folders to be removed.
  private static let temporaries = Guarded<Set<String>>([])
  /// What is not to be interrupted, and whether something waits for its end.
  private static let deferring = Guarded<(count: Int, isEnding: Bool)>((0, false))
  private static let channel = makeChannel()
  /// Whether signals are handled at all. If not, nothing is noted: in the processes of others there
  /// is no lock here that a fork could find locked.
  private static let isHandling = Atomic(false)

  /// Begins to handle the signals, but for those that the process was told to ignore. For
  /// programs, not for libraries.
  package static func handle() {
    guard channel.input >= 0 else { return }
    isHandling.store(true, ordering: .relaxed)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let old = signal(number) { number in
        let before = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = unsafe write(Interruption.channel.output, &byte, 1)
        errno = before
      }
      let isIgnored =
        unsafe unsafeBitCast(old, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
      if isIgnored { signal(number, SIG_IGN) }
    }
    _ = BackgroundThread.start { wait() }
  }

  /// Runs `body` to its end before a signal takes effect. May nest.
  package static func deferred<Failure: Error>(
    _ body: () throws(Failure) -> Void
  ) throws(Failure) {
    guard isHandling.load(ordering: .relaxed) else { return try body() }
    let isTooLate = deferring.withLock { deferring in
      if deferring.isEnding && deferring.count == 0 { return true }
      deferring.count += 1
      return false
    }
    while isTooLate { pause() }
    defer { deferring.withLock { $0.count -= 1 } }
    try body()
  }

  /// Notes a file or folder that is to go if the process is interrupted; does not return if it
  /// just is.
  package static func add(temporary path: String) {
    guard isHandling.load(ordering: .relaxed) else { return }
    temporaries.withLock { _ = $0.insert(path) }
  }

  /// Forgets one that is gone or has got its name.
  package static func remove(temporary path: String) {
    guard isHandling.load(ordering: .relaxed) else { return }
    temporaries.withLock { _ = $0.remove(path) }
  }

  private static func makeChannel() -> (input: Int32, output: Int32) {
    var ends: [Int32] = [-1, -1]
    guard unsafe pipe(&ends) == 0 else { return (-1, -1) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }

  private static func wait() {
    var byte: UInt8 = 0
    while unsafe read(channel.input, &byte, 1) != 1 {}
    let number = Int32(byte)
    deferring.withLock { $0.isEnding = true }
    while deferring.withLock({ $0.count > 0 }) { usleep(1000) }
    temporaries.withLock { paths in
      for path in paths where unsafe unlink(path) != 0 { Folder.remove(path) }
      signal(number, SIG_DFL)
      kill(getpid(), number)
      // With the lock held, so that nothing more is begun.
      while true { pause() }
    }
  }
}
