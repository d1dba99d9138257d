import Platform

/// A lock of the C library, with which a thread may also wait for a `Condition`.
///
/// `Synchronization.Mutex` is not used here because it knows its owner by a number that each thread
/// asks for once: after `fork`, the thread that is left goes on under a number that is not its own,
/// and the process crashes as soon as another thread has to wait for it.
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

  /// Makes it a lock that nobody holds or waits for, whoever did before `fork`.
  func reset() { unsafe pthread_mutex_init(pointer, nil) }
}

/// Something that threads wait for, under a lock.
@safe package final class Condition: @unchecked Sendable {
  private let pointer = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() { unsafe pthread_cond_init(pointer, nil) }

  deinit {
    unsafe pthread_cond_destroy(pointer)
    unsafe pointer.deallocate()
  }

  /// Waits until another thread says that something has changed, or for no reason. The lock is held
  /// before and afterwards, but not meanwhile.
  package func wait(_ lock: Lock) { unsafe pthread_cond_wait(pointer, lock.pointer) }

  /// Wakes a thread that waits.
  package func wakeOne() { unsafe pthread_cond_signal(pointer) }

  /// Wakes all threads that wait.
  package func wakeAll() { unsafe pthread_cond_broadcast(pointer) }

  /// Makes it a condition that nobody waits for, whoever did before `fork`.
  func reset() { unsafe pthread_cond_init(pointer, nil) }
}
