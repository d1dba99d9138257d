import Foundation
import Synchronization
import SystemSupport
import Testing

@Suite struct ReadWriteLockTests {
  private final class Shared: Sendable {
    let lock = ReadWriteLock()
    let isDone = Atomic(false)
    let reads = Atomic(0)
  }

  @Test("a writer gets in though readers overlap without a pause")
  func writersAreNotStarved() {
    let shared = Shared()
    // One of three is inside at any time; without the writer they would go on for 20 seconds.
    let end = Date(timeIntervalSinceNow: 20)
    for _ in 0..<3 {
      Thread.detachNewThread {
        while !shared.isDone.load(ordering: .relaxed), Date() < end {
          shared.lock.reading { _ = usleep(5000) }
          shared.reads.add(1, ordering: .relaxed)
        }
      }
    }
    while shared.reads.load(ordering: .relaxed) < 10 { usleep(1000) }
    shared.lock.writing { shared.isDone.store(true, ordering: .relaxed) }
    #expect(Date() < end)
  }
}
