import Platform
import SystemSupport
import TensorCore

/// Another program, run to its end with its output captured.
package struct ChildProcess {
  /// How it ended.
  package let ending: ProcessEnding
  package let output, errors: [UInt8]
  /// The peak of its resident memory, in bytes.
  package let peakMemory: UInt64
  package let seconds: Double

  /// Runs a program found by path, or by name in PATH.
  ///
  /// - Parameters:
  ///   - killedAfter: The seconds after which it gets `signal`, if it still runs.
  ///   - outputPath: A file for standard output, which is then not captured.
  package static func run(
    _ program: String, _ arguments: [String], killedAfter: Double? = nil, by signal: Int32 = 9,
    outputPath: String? = nil
  ) throws(DiffError) -> ChildProcess {
    let clock = ContinuousClock()
    let start = clock.now
    let output = try capture()
    let errors = try capture()
    let child = try spawn(program, arguments, output.descriptor, errors.descriptor, outputPath)
    var status: Int32 = 0
    var usage = rusage()
    var deadline = killedAfter.map { start + .seconds($0) }
    while true {
      let ended = unsafe wait4(child, &status, deadline == nil ? 0 : WNOHANG, &usage)
      if ended == child { break }
      guard ended == 0 || errno == EINTR else { throw .system("cannot wait for", program) }
      guard let end = deadline else { continue }
      let left = (end - clock.now) / .seconds(1)
      if left <= 0 {
        kill(child, signal)
        deadline = nil
      } else {
        usleep(UInt32(min(left, 0.001) * 1e6))
      }
    }
    #if os(Linux)
    let unit: UInt64 = 1024
    #else
    let unit: UInt64 = 1
    #endif
    return ChildProcess(
      ending: ProcessEnding(status: status),
      output: try output.contents(), errors: try errors.contents(),
      peakMemory: UInt64(usage.ru_maxrss) * unit, seconds: (clock.now - start) / .seconds(1))
  }

  private static func spawn(
    _ program: String, _ arguments: [String], _ output: Int32, _ errors: Int32,
    _ outputPath: String?
  ) throws(DiffError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    if let outputPath {
      unsafe posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT, 0o666)
    } else {
      unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    }
    unsafe posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var strings = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe strings.withUnsafeBufferPointer { unsafe $0.forEach { unsafe free($0) } } }
    var child: pid_t = 0
    let failure = unsafe SpawnAttributes().use { attributes in
      unsafe posix_spawnp(&child, program, &actions, attributes, &strings, environ)
    }
    guard failure == 0 else {
      errno = failure
      throw .system("cannot run", program)
    }
    return child
  }

  /// Creates an unlinked file for the output of the child.
  private static func capture() throws(DiffError) -> File {
    var template = Array("/tmp/diffkit-output-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&template)
    guard descriptor >= 0 else { throw .system("cannot create", "a temporary file") }
    unsafe unlink(template)
    return File(adopting: descriptor, path: "output of a child process")
  }
}
