import Synchronization

/// A loop whose turns several threads share: each takes the next one that nobody has taken.
final class ParallelLoop: @unchecked Sendable {
  /// How many turns there are.
  let count: Int
  private let next = Atomic(0)
  private let helpers = Atomic(0)
  private var body: (@Sendable (Int) -> Void)?

  init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    (self.count, self.body) = (count, body)
  }

  /// Takes turns until all are taken.
  func run() {
    guard let body else { return }
    while true {
      let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
      if turn >= count { return }
      body(turn)
    }
  }

  /// A thread that did not begin the loop comes to share it.
  func enter() { helpers.wrappingAdd(1, ordering: .relaxed) }

  /// It has gone.
  func leave() { helpers.wrappingSubtract(1, ordering: .releasing) }

  /// Whether all turns are over, if the thread that began the loop is in none.
  var isOver: Bool {
    helpers.load(ordering: .acquiring) == 0 && next.load(ordering: .relaxed) >= count
  }

  /// Lets the body go, which lives no longer than the call of the loop.
  func end() { body = nil }
}
