import Platform
import Synchronization
import SystemSupport
import TensorCore
import Testing

/// The threads of `parallelFor`.
@Suite struct ThreadPoolTests {
  @Test("iterations run at the same time, on as many threads as there are processors")
  func together() {
    let count = ProcessorCount.online
    let arrived = Atomic(0)
    let late = Atomic(0)
    parallelFor(count) { _ in
      arrived.add(1, ordering: .relaxed)
      // Another loop may use the pool's threads for a while.
      for _ in 0..<60_000 where arrived.load(ordering: .relaxed) < count { usleep(1000) }
      if arrived.load(ordering: .relaxed) < count { late.add(1, ordering: .relaxed) }
    }
    #expect(late.load(ordering: .relaxed) == 0)
  }

  @Test("nested loops end, and each iteration runs once")
  func nested() {
    let turns = Atomic(0)
    parallelFor(20) { _ in
      parallelFor(20) { _ in parallelFor(20) { _ in turns.add(1, ordering: .relaxed) } }
    }
    #expect(turns.load(ordering: .relaxed) == 8000)
  }

  @Test("many threads run loops at the same time, and end in any order")
  func callers() throws {
    let turns = Atomic(0)
    for _ in 0..<20 {
      let threads = (0..<8).map { _ in
        Caller {
          for count in 0..<50 { parallelFor(count) { _ in turns.add(1, ordering: .relaxed) } }
        }
      }
      for thread in threads { thread.join() }
    }
    #expect(turns.load(ordering: .relaxed) == 20 * 8 * 49 * 25)
  }

  @Test("the body is released before the loop returns")
  func lifetimes() {
    final class Held: Sendable {}
    for _ in 0..<200 {
      weak var seen: Held?
      do {
        let held = Held()
        seen = held
        parallelFor(8) { _ in withExtendedLifetime(held) {} }
      }
      #expect(seen == nil)
    }
  }

  @Test("the pool's threads block signals, except for their own faults")
  func signals() {
    let caller = UInt(pthread_self())
    let wrong = Atomic(0)
    let helped = Atomic(0)
    parallelFor(ProcessorCount.online) { _ in
      helped.add(1, ordering: .relaxed)
      for _ in 0..<60_000 where helped.load(ordering: .relaxed) < ProcessorCount.online {
        usleep(1000)
      }
      if UInt(pthread_self()) == caller { return }
      var blocked = sigset_t()
      unsafe pthread_sigmask(SIG_BLOCK, nil, &blocked)
      let isRight =
        unsafe sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGSEGV) == 0
      if !isRight { wrong.add(1, ordering: .relaxed) }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }
}

/// A thread that ends.
private final class Caller: @unchecked Sendable {
  private var thread = pthread_t()
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
    let argument = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe pthread_create(
      &thread, nil,
      { argument in
        if let argument = unsafe argument {
          unsafe Unmanaged<Caller>.fromOpaque(argument).takeUnretainedValue().body()
        }
        return nil
      }, argument)
  }

  func join() { pthread_join(thread, nil) }
}
