import Platform
import Synchronization

/// The end of the process by a signal, where the program provides for that: temporary files go, and
/// what must not be left half done is finished first.
package enum Interruption {
  /// Files and folders to be removed.
  private static let temporaries = Guarded<Set<String>>([])
  /// What is not to be interrupted, and whether something waits for its end.
  private static let deferring = Guarded<(count: Int, isEnding: Bool)>((0, false))
  /// Whether signals are handled at all. If not, nothing is noted: in the processes of others there
  /// is no lock here that a fork could find locked.
  private static let isHandling = Atomic(false)

  /// Begins to take notes: from now on a signal leads to `end`. For programs, not for libraries.
  package static func begin() { isHandling.store(true, ordering: .relaxed) }

  /// Waits for what must be finished, removes temporary files, and ends the process.
  ///
  /// - Parameter exit: ends it. Meanwhile nothing new is begun.
  package static func end(_ exit: () -> Never) -> Never {
    deferring.withLock { $0.isEnding = true }
    while deferring.withLock({ $0.count > 0 }) { usleep(1000) }
    temporaries.withLock { (paths) -> Never in
      for path in paths where unsafe unlink(path) != 0 { Folder.remove(path) }
      exit()
    }
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
}
