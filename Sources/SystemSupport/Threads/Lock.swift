import Platform

/// A mutex of the C library, which can be used with a `Condition`.
///
/// `Synchronization.Mutex` is not used because it identifies its owner by a cached thread
/// identifier: after `fork`, the remaining thread keeps an identifier that is no longer valid, and
/// the process crashes as soon as another thread has to wait for it.
@safe package final class Lock: @unchecked Sendable {
  fileprivate let pointer = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  package init() { unsafe pthread_mutex_init(pointer, nil) }

  deinit {
    unsafe pthread_mutex_destroy(pointer)
    unsafe pointer.deallocate()
  }

  package func lock() { unsafe pthread_mutex_lock(pointer) }

  package func unlock() { unsafe pthread_mutex_unlock(pointer) }

  /// Runs `body` while no other thread holds the lock.
  package func withLock<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock()
    defer { unlock() }
    return try body()
  }

  /// Reinitializes the lock in a child of `fork`, whatever its state before.
  func reset() { unsafe pthread_mutex_init(pointer, nil) }
}

/// A condition variable that threads wait for under a lock.
@safe package final class Condition: @unchecked Sendable {
  private let pointer = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() { unsafe pthread_cond_init(pointer, nil) }

  deinit {
    unsafe pthread_cond_destroy(pointer)
    unsafe pointer.deallocate()
  }

  /// Waits until another thread wakes this one, or spuriously. The lock is held before and after,
  /// and released meanwhile.
  package func wait(_ lock: Lock) { unsafe pthread_cond_wait(pointer, lock.pointer) }

  /// Wakes one waiting thread.
  package func wakeOne() { unsafe pthread_cond_signal(pointer) }

  /// Wakes all waiting threads.
  package func wakeAll() { unsafe pthread_cond_broadcast(pointer) }

  /// Reinitializes the condition in a child of `fork`, whatever its state before.
  func reset() { unsafe pthread_cond_init(pointer, nil) }
}
