import Platform
import Synchronization

/// The threads that help with parallel loops. They are started by the first loops that have work
/// for them and wait for more as long as the process lives.
///
/// `fork` leaves a child the thread that called it and no other. So the pool is at rest, its lock
/// held, while the process is doubled, and the child's is empty: it starts threads when it needs
/// them. The thread that is left does not share the child's loops but waits for them: it keeps the
/// number under which the Swift runtime knew it in the parent, and who waits for something that it
/// initialises would wait for ever.
final class ThreadPool: @unchecked Sendable {
  static let shared = ThreadPool()

  /// Protects what follows but for reading `offers`.
  private let lock = Lock()
  private let hasWork = Condition()
  private let hasLeft = Condition()
  /// Loops that may have turns that nobody has taken, and how many they are.
  private var loops: [ParallelLoop] = []
  private let offers = Atomic(0)
  /// How many threads there are, how many of them look for work, and how many sleep.
  private var threads = 0
  private var looking = 0
  private var sleeping = 0
  /// In a child of `fork`, the thread that is left of its parent's.
  private var survivor: pthread_t?

  private init() {
    pthread_atfork(
      { ThreadPool.shared.lock.lock() }, { ThreadPool.shared.lock.unlock() },
      { ThreadPool.shared.beginAnew() })
  }

  /// Runs `body(0)` … `body(count - 1)` on this thread and on those of the pool that have nothing
  /// else to do, and waits for the last.
  func perform(_ count: Int, _ body: @Sendable (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      let loop = ParallelLoop(count, body)
      if offer(loop) { loop.run() }
      finish(loop)
    }
  }

  /// Offers a loop to the threads of the pool; false if this thread is not to take part.
  private func offer(_ loop: ParallelLoop) -> Bool {
    lock.lock()
    let isSurvivor = survivor.map { pthread_equal($0, pthread_self()) != 0 } ?? false
    let wanted = min(loop.count, ProcessorCount.online) - (isSurvivor ? 0 : 1)
    while threads < wanted, startThread() {}
    loops.append(loop)
    offers.store(loops.count, ordering: .relaxed)
    let woken = min(wanted - looking, sleeping)
    let takesPart = !isSurvivor || threads == 0
    lock.unlock()
    for _ in 0..<max(0, woken) { hasWork.wakeOne() }
    return takesPart
  }

  /// Waits until all turns of a loop are over.
  private func finish(_ loop: ParallelLoop) {
    linger { !loop.isOver }
    lock.withLock {
      while !loop.isOver { hasLeft.wait(lock) }
      withdraw(loop)
    }
    loop.end()
  }

  private func withdraw(_ loop: ParallelLoop) {
    guard let index = loops.firstIndex(where: { $0 === loop }) else { return }
    loops.remove(at: index)
    offers.store(loops.count, ordering: .relaxed)
  }

  private func startThread() -> Bool {
    guard BackgroundThread.start({ ThreadPool.shared.help() }) else { return false }
    threads += 1
    return true
  }

  /// What a thread of the pool does.
  private func help() {
    lock.lock()
    while true {
      guard let loop = loops.first else {
        rest()
        continue
      }
      loop.enter()
      lock.unlock()
      loop.run()
      lock.lock()
      withdraw(loop)
      loop.leave()
      if loop.isOver { hasLeft.wakeAll() }
    }
  }

  /// Waits for a loop.
  private func rest() {
    looking += 1
    lock.unlock()
    linger { offers.load(ordering: .relaxed) == 0 }
    lock.lock()
    looking -= 1
    guard loops.isEmpty else { return }
    sleeping += 1
    hasWork.wait(lock)
    sleeping -= 1
  }

  /// Stays awake for a moment as long as a condition holds: its end is often nearer than a thread
  /// that sleeps could be woken.
  private func linger(while condition: () -> Bool) {
    for _ in 0..<20 where condition() { sched_yield() }
  }

  /// Makes this the pool of a new process, whose only thread this is.
  private func beginAnew() {
    lock.reset()
    hasWork.reset()
    hasLeft.reset()
    loops = []
    offers.store(0, ordering: .relaxed)
    (threads, looking, sleeping) = (0, 0, 0)
    survivor = pthread_self()
  }
}
