import TensorCore

/// Numbered pieces of work that several threads need done: each is done once, by the thread that
/// comes first, while the others do other pieces.
package final class SharedWork: @unchecked Sendable {
  private enum State: UInt8 { case open, taken, done }

  private let lock = Lock()
  private let changed = Condition()
  private var states: [State]

  package init(count: Int) { states = Array(repeating: .open, count: count) }

  /// Returns when all `pieces` are done, by this thread or by others. What fails stays to be done.
  package func finish(
    _ pieces: Range<Int>, _ body: (Int) throws(DiffError) -> Void
  ) throws(DiffError) {
    lock.lock()
    defer { lock.unlock() }
    for piece in pieces where states[piece] == .open { try take(piece, body) }
    for piece in pieces {
      while states[piece] == .taken { changed.wait(lock) }
      // Open again where another thread failed.
      if states[piece] == .open { try take(piece, body) }
    }
  }

  /// Does a piece, without the lock in the meantime.
  private func take(
    _ piece: Int, _ body: (Int) throws(DiffError) -> Void
  ) throws(DiffError) {
    states[piece] = .taken
    lock.unlock()
    var outcome = State.open
    defer {
      lock.lock()
      states[piece] = outcome
      changed.wakeAll()
    }
    try body(piece)
    outcome = .done
  }
}
