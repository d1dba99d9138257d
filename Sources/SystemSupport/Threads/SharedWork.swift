import Platform
import TensorCore

/// Numbered pieces of work that several threads need done: each is done once, by the thread that
/// comes first, while the others do other pieces.
@safe package final class SharedWork: @unchecked Sendable {
  private enum State: UInt8 { case open, taken, done }

  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var states: [State]

  package init(count: Int) {
    states = Array(repeating: .open, count: count)
    unsafe pthread_mutex_init(lock, nil)
    unsafe pthread_cond_init(changed, nil)
  }

  deinit {
    unsafe pthread_mutex_destroy(lock)
    unsafe pthread_cond_destroy(changed)
    unsafe lock.deallocate()
    unsafe changed.deallocate()
  }

  /// Returns when all `pieces` are done, by this thread or by others. What fails stays to be done.
  package func finish(
    _ pieces: Range<Int>, _ body: (Int) throws(DiffError) -> Void
  ) throws(DiffError) {
    unsafe pthread_mutex_lock(lock)
    defer { unsafe pthread_mutex_unlock(lock) }
    for piece in pieces where states[piece] == .open { try take(piece, body) }
    for piece in pieces {
      while states[piece] == .taken { unsafe pthread_cond_wait(changed, lock) }
      // Open again where another thread failed.
      if states[piece] == .open { try take(piece, body) }
    }
  }

  /// Does a piece, without the lock in the meantime.
  private func take(
    _ piece: Int, _ body: (Int) throws(DiffError) -> Void
  ) throws(DiffError) {
    states[piece] = .taken
    unsafe pthread_mutex_unlock(lock)
    var outcome = State.open
    defer {
      unsafe pthread_mutex_lock(lock)
      states[piece] = outcome
      unsafe pthread_cond_broadcast(changed)
    }
    try body(piece)
    outcome = .done
  }
}
