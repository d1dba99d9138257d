import Synchronization

/// A loop whose iterations are shared by several threads: each takes the next iteration that is not
/// yet taken.
final class ParallelLoop: @unchecked Sendable {
  /// The number of iterations.
  let count: Int
  private let next = Atomic(0)
  private let helpers = Atomic(0)
  private var body: (@Sendable (Int) -> Void)?

  init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    (self.count, self.body) = (count, body)
  }

  /// Runs iterations until all are taken.
  func run() {
    guard let body else { return }
    while true {
      let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if turn >= count { return }
      body(turn)
    }
  }

  /// Registers a helping thread, which did not start the loop.
  func enter() { helpers.wrappingAdd(1, ordering: .relaxed) }

  /// Unregisters a helping thread.
  func leave() { helpers.wrappingSubtract(1, ordering: .releasing) }

  /// True if all iterations are done, provided that the thread that started the loop runs none.
  var isOver: Bool {
    helpers.load(ordering: .acquiring) == 0 && next.load(ordering: .relaxed) >= count
  }

  /// Releases the body, which must not outlive the call of the loop.
  func end() { body = nil }
}
