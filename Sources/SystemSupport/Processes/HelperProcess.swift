import Platform
import TensorCore

/// A program that works for this one and may be trusted with nothing: it is handed one open file
/// and a channel, and is gone when this object is, or this process.
package final class HelperProcess: @unchecked Sendable {
  private let channel: MessageChannel
  private let child: pid_t
  private let parent = getpid()
  /// How it ended, once it has. Changed by `end` alone, whose caller holds the only reference.
  private var ending: ProcessEnding?

  /// Where the helper finds its channel and its file.
  package static let channelDescriptor: Int32 = 0
  package static let fileDescriptor: Int32 = 3

  /// Starts a program with the channel as descriptor 0, `file` as 3, and no other input or output.
  ///
  /// - Parameter environment: what it sees of the environment, `NAME=VALUE`.
  package init(
    _ program: String, _ arguments: [String], environment: [String], file: File
  ) throws(DiffError) {
    let (here, there) = try MessageChannel.pair()
    // Out of the way of the numbers that the child gets them under.
    let socket = fcntl(there.descriptor, F_DUPFD_CLOEXEC, 10)
    let contents = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 10)
    defer {
      close(socket)
      close(contents)
    }
    guard socket >= 0, contents >= 0 else { throw .system("cannot pass on", file.path) }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, socket, Self.channelDescriptor)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, contents, Self.fileDescriptor)
    var words = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    var facts = unsafe environment.map { unsafe strdup($0) } + [nil]
    defer { unsafe (words + facts).forEach { unsafe free($0) } }
    var child: pid_t = 0
    // On Ctrl-C it must not be gone before this process knows why.
    let failure = unsafe SpawnAttributes(apart: true).use { attributes in
      unsafe posix_spawn(&child, program, &actions, attributes, &words, &facts)
    }
    guard failure == 0 else {
      errno = failure
      throw .system("cannot run", program)
    }
    channel = here
    self.child = child
  }

  deinit { if isOfThisProcess { _ = end(killing: true) } }

  /// False in a process that was forked from the one that started the helper, with which it cannot
  /// share the channel.
  package var isOfThisProcess: Bool { getpid() == parent }

  /// Sends a request and waits for the answer.
  ///
  /// - Throws: the failure of the channel; the helper is of no use afterwards.
  package func call(
    _ request: [UInt8], limit: UInt64, seconds: Double
  ) throws(MessageChannel.Failure) -> [UInt8] {
    let deadline = ContinuousClock.now + .seconds(seconds)
    try channel.send(request, by: deadline)
    return try channel.receive(limit: limit, by: deadline)
  }

  /// The end of the process: waits for it, and brings it about if it does not come soon.
  ///
  /// - Parameter killing: whether to bring it about at once.
  package func end(killing: Bool) -> ProcessEnding {
    if let ending { return ending }
    var status: Int32 = 0
    // One that closed its channel may still be there. One that the program has waited for is not,
    // and its number may be another's by now.
    for attempt in 0..<(killing ? 1 : 2000) {
      if attempt > 0 { usleep(1000) }
      if unsafe waitpid(child, &status, WNOHANG) != 0 { return end(status) }
    }
    kill(child, SIGKILL)
    while unsafe waitpid(child, &status, 0) < 0 && errno == EINTR {}
    return end(status)
  }

  private func end(_ status: Int32) -> ProcessEnding {
    let ending = ProcessEnding(status: status)
    self.ending = ending
    return ending
  }
}
