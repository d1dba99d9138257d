import Platform
import Synchronization

/// The threads that help with parallel loops. They are started by the first loops that need them,
/// and wait for more loops until the process ends.
///
/// After `fork`, a child has only the thread that called it. Therefore the pool's lock is held
/// during `fork`, and the child's pool is empty: it starts threads when it needs them. The
/// remaining thread does not run iterations of the child's loops but waits for them: it keeps the
/// identifier that the Swift runtime gave it in the parent, so threads that wait for a value that
/// it initializes would wait forever.
final class ThreadPool: @unchecked Sendable {
  static let shared = ThreadPool()

  /// Protects the following properties, except for reads of `offers`.
  private let lock = Lock()
  private let hasWork = Condition()
  private let hasLeft = Condition()
  /// The loops that may have iterations left, and their number.
  private var loops: [ParallelLoop] = []
  private let offers = Atomic(0)
  /// The number of threads, of those that poll for loops, and of those that sleep.
  private var threads = 0
  private var looking = 0
  private var sleeping = 0
  /// In a child of `fork`, the thread that called it.
  private var survivor: pthread_t?

  private init() {
    pthread_atfork(
      { ThreadPool.shared.lock.lock() }, { ThreadPool.shared.lock.unlock() },
      { ThreadPool.shared.reset() })
  }

  /// Runs `body(0)` … `body(count - 1)` on this thread and on idle threads of the pool, and waits
  /// for the last.
  func perform(_ count: Int, _ body: @Sendable (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      let loop = ParallelLoop(count, body)
      if offer(loop) { loop.run() }
      finish(loop)
    }
  }

  /// Offers a loop to the threads of the pool; returns false if this thread must not take part.
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

  /// Waits until all iterations of a loop are done.
  private func finish(_ loop: ParallelLoop) {
    yieldBriefly { !loop.isOver }
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

  /// The body of a thread of the pool.
  private func help() {
    lock.lock()
    while true {
      guard let loop = loops.first else {
        waitForLoop()
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

  /// Waits until a loop is offered.
  private func waitForLoop() {
    looking += 1
    lock.unlock()
    yieldBriefly { offers.load(ordering: .relaxed) == 0 }
    lock.lock()
    looking -= 1
    guard loops.isEmpty else { return }
    sleeping += 1
    hasWork.wait(lock)
    sleeping -= 1
  }

  /// Yields for a moment while a condition holds, which often takes less time than waking a
  /// sleeping thread.
  private func yieldBriefly(while condition: () -> Bool) {
    for _ in 0..<20 where condition() { sched_yield() }
  }

  /// Resets the pool in a child of `fork`, whose only thread is this one.
  private func reset() {
    lock.reset()
    hasWork.reset()
    hasLeft.reset()
    loops = []
    offers.store(0, ordering: .relaxed)
    (threads, looking, sleeping) = (0, 0, 0)
    survivor = pthread_self()
  }
}
