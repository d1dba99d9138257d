import Platform
import SystemSupport

/// The handling of SIGINT, SIGTERM and SIGHUP: cleans up, and ends the process by the signal.
///
/// The handler itself only writes a byte into a pipe, which is all that a handler may safely do; a
/// thread at the other end does the rest.
enum SignalHandling {
  private static let channel = makeChannel()

  /// Begins to handle the signals, except those that the process was started to ignore.
  static func begin() {
    guard channel.input >= 0 else { return }
    Interruption.begin()
    useOwnStack()
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let old = signal(number) { number in
        let before = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = unsafe write(SignalHandling.channel.output, &byte, 1)
        errno = before
      }
      let isIgnored =
        unsafe unsafeBitCast(old, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
      if isIgnored { signal(number, SIG_IGN) }
      var action = sigaction()
      unsafe sigaction(number, nil, &action)
      action.sa_flags |= SA_ONSTACK
      unsafe sigaction(number, &action, nil)
    }
    _ = BackgroundThread.start { wait() }
  }

  /// Gives the handler of the main thread a stack of its own. Kernels that oneDNN generates use the
  /// stack pointer for other purposes: what the system stores below it would overwrite the heap.
  private static func useOwnStack() {
    // Where processors have AMX, the state that is stored takes 11 kB.
    let size = 1 << 16
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    var stack = unsafe stack_t()
    unsafe stack.ss_sp = unsafe memory
    unsafe stack.ss_size = numericCast(size)
    unsafe sigaltstack(&stack, nil)
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
    Interruption.end {
      signal(number, SIG_DFL)
      kill(getpid(), number)
      while true { pause() }
    }
  }
}
