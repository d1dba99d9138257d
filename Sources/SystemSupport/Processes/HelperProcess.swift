import Platform
import TensorCore

/// A child process that is not trusted: it gets one open file and a channel, and ends with this
/// object or with this process.
package final class HelperProcess: @unchecked Sendable {
  private let channel: MessageChannel
  private let child: pid_t
  private let parent = getpid()
  /// The ending of the process, once it has ended. Changed only by `end`, whose caller holds the
  /// only reference.
  private var ending: ProcessEnding?

  /// The helper's descriptors of its channel and its file.
  package static let channelDescriptor: Int32 = 0
  package static let fileDescriptor: Int32 = 3

  /// Starts a program with the channel as descriptor 0, `file` as 3, and no other input or output.
  ///
  /// - Parameter environment: the environment of the program, as `NAME=VALUE`.
  package init(
    _ program: String, _ arguments: [String], environment: [String], file: File
  ) throws(DiffError) {
    let (here, there) = try MessageChannel.pair()
    // Above the descriptor numbers in the child, so that they are not overwritten.
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
    var variables = unsafe environment.map { unsafe strdup($0) } + [nil]
    defer { unsafe (words + variables).forEach { unsafe free($0) } }
    var child: pid_t = 0
    // Not in the terminal's process group: on Ctrl-C it must not end before this process.
    let failure = unsafe SpawnAttributes(apart: true).use { attributes in
      unsafe posix_spawn(&child, program, &actions, attributes, &words, &variables)
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

  /// Sends a request and waits for the reply.
  ///
  /// - Throws: the failure of the channel; the helper must not be used afterwards.
  package func call(
    _ request: [UInt8], limit: UInt64, seconds: Double
  ) throws(MessageChannel.Failure) -> [UInt8] {
    let deadline = ContinuousClock.now + .seconds(seconds)
    try channel.send(request, by: deadline)
    return try channel.receive(limit: limit, by: deadline)
  }

  /// Waits for the end of the process, and kills it if it does not end soon.
  ///
  /// - Parameter killing: whether to kill it at once.
  package func end(killing: Bool) -> ProcessEnding {
    if let ending { return ending }
    var status: Int32 = 0
    // A process that closed its channel may still be running. If the program has already waited for
    // it, its identifier may belong to another process by now.
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
