import Foundation
import Platform
import Synchronization
import SystemSupport
import Testing

@Suite struct ReadWriteLockTests {
  private final class Shared: Sendable {
    let lock = ReadWriteLock()
    /// The number of times that readers have entered, and of readers that have given up.
    let entries = Atomic(0)
    let finished = Atomic(0)
    let isDone = Atomic(false)

    /// Comes in again and again, without a pause between readers: each stays until another has come
    /// in after it, or for a while if none can.
    func read() {
      for _ in 0..<2000 where !isDone.load(ordering: .relaxed) {
        lock.reading {
          let mine = entries.add(1, ordering: .relaxed).newValue
          for _ in 0..<10_000 where entries.load(ordering: .relaxed) == mine { sched_yield() }
        }
      }
      finished.add(1, ordering: .relaxed)
    }
  }

  @Test("a writer gets the lock although readers overlap without a pause")
  func writersAreNotStarved() {
    let shared = Shared()
    for _ in 0..<3 { Thread.detachNewThread { shared.read() } }
    while shared.entries.load(ordering: .relaxed) < 10 { sched_yield() }
    shared.lock.writing {
      #expect(shared.finished.load(ordering: .relaxed) == 0)
      shared.isDone.store(true, ordering: .relaxed)
    }
    while shared.finished.load(ordering: .relaxed) < 3 { sched_yield() }
  }
}
