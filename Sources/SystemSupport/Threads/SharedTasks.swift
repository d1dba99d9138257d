import TensorCore

/// Tasks whose results several threads need: each is done once, by the first thread that needs it,
/// while other threads do other tasks.
package final class SharedTasks: @unchecked Sendable {
  private enum State: UInt8 { case open, taken, done }

  private let lock = Lock()
  private let changed = Condition()
  private var states: [State]

  package init(count: Int) { states = Array(repeating: .open, count: count) }

  /// Returns when all tasks with these indices are done, by this thread or by others. A task that
  /// fails is open again.
  package func finish(
    _ tasks: Range<Int>, _ body: (Int) throws(DiffError) -> Void
  ) throws(DiffError) {
    lock.lock()
    defer { lock.unlock() }
    for task in tasks where states[task] == .open { try take(task, body) }
    for task in tasks {
      while states[task] == .taken { changed.wait(lock) }
      // Another thread may have failed.
      if states[task] == .open { try take(task, body) }
    }
  }

  /// Runs a task, without holding the lock meanwhile.
  private func take(
    _ task: Int, _ body: (Int) throws(DiffError) -> Void
  ) throws(DiffError) {
    states[task] = .taken
    lock.unlock()
    var outcome = State.open
    defer {
      lock.lock()
      states[task] = outcome
      changed.wakeAll()
    }
    try body(task)
    outcome = .done
  }
}
