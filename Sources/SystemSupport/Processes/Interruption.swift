import Platform
import Synchronization

/// Handling of signals that end the process: critical sections are completed first, and temporary
/// files are removed.
package enum Interruption {
  /// The files and folders to be removed.
  private static let temporaries = Guarded<Set<String>>([])
  /// The number of running critical sections, and whether the process is ending.
  private static let deferring = Guarded<(count: Int, isEnding: Bool)>((0, false))
  /// True if signals are handled. Otherwise nothing is recorded, so that in a process that uses the
  /// library there is no lock here that a fork could find locked.
  private static let isHandling = Atomic(false)

  /// Starts recording, for a program whose signal handler calls `end`. Not for libraries.
  package static func begin() { isHandling.store(true, ordering: .relaxed) }

  /// Waits for critical sections, removes temporary files, and ends the process.
  ///
  /// - Parameter exit: ends the process; no new critical section starts meanwhile.
  package static func end(_ exit: () -> Never) -> Never {
    deferring.withLock { $0.isEnding = true }
    while deferring.withLock({ $0.count > 0 }) { usleep(1000) }
    temporaries.withLock { (paths) -> Never in
      for path in paths where unsafe unlink(path) != 0 { Folder.remove(path) }
      exit()
    }
  }

  /// Runs `body` as a critical section, which a signal does not interrupt. May be nested.
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

  /// Records a file or folder to be removed if the process is interrupted; does not return if the
  /// process is ending.
  package static func add(temporary path: String) {
    guard isHandling.load(ordering: .relaxed) else { return }
    temporaries.withLock { _ = $0.insert(path) }
  }

  /// Removes the record of a temporary file or folder that was removed or committed.
  package static func remove(temporary path: String) {
    guard isHandling.load(ordering: .relaxed) else { return }
    temporaries.withLock { _ = $0.remove(path) }
  }
}
