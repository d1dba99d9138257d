import Dispatch

/// Runs `body(0)` … `body(count - 1)` on all cores and waits for the last; the only place where
/// diffkit starts work on other threads. The error of the lowest index is thrown.
package func parallelFor(
  _ count: Int, _ body: @Sendable (Int) throws(DiffError) -> Void
) throws(DiffError) {
  if count == 1 { return try body(0) }
  let failure = FirstFailure()
  DispatchQueue.concurrentPerform(iterations: count) { index in
    do throws(DiffError) { try body(index) } catch { failure.record(error, index) }
  }
  if let error = failure.error { throw error }
}

private final class FirstFailure: @unchecked Sendable {
  private let queue = DispatchQueue(label: "diffkit.parallel-for")
  private var first: (index: Int, error: DiffError)?

  func record(_ error: DiffError, _ index: Int) {
    queue.sync {
      if let first, first.index < index { return }
      first = (index, error)
    }
  }

  var error: DiffError? { queue.sync { first?.error } }
}
