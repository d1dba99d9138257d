import Dispatch
import Platform
import TensorCore

/// The processors that this process may count on.
package enum ProcessorCount {
  /// How many there are.
  package static let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
}

/// Runs `body(0)` … `body(count - 1)` on all cores and waits for the last; the only place where
/// diffkit starts work on other threads. The error of the lowest index is thrown.
package func parallelFor(
  _ count: Int, _ body: @Sendable (Int) throws(DiffError) -> Void
) throws(DiffError) {
  if count <= 1 {
    if count == 1 { try body(0) }
    return
  }
  let failure = FirstFailure()
  DispatchQueue.concurrentPerform(iterations: count) { index in
    do throws(DiffError) { try body(index) } catch { failure.record(error, index) }
  }
  if let error = failure.error { throw error }
}

/// The same for what cannot fail.
package func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
  if count == 1 { return body(0) }
  DispatchQueue.concurrentPerform(iterations: count, execute: body)
}

/// `parallelFor` over the elements of an array, each changed by one thread.
package func parallelForEach<Element: Sendable>(
  _ elements: inout [Element], count: Int? = nil,
  _ body: @Sendable (Int, inout Element) throws(DiffError) -> Void
) throws(DiffError) {
  let count = count ?? elements.count
  precondition(count <= elements.count)
  // The elements are distinct memory, which the compiler cannot see.
  try unsafe elements.withUnsafeMutableBufferPointer { buffer throws(DiffError) in
    let base = unsafe SharedBase(pointer: buffer.baseAddress)
    try parallelFor(count) { index throws(DiffError) in
      if let pointer = unsafe base.pointer { try unsafe body(index, &pointer[index]) }
    }
  }
}

@unsafe private struct SharedBase<Element>: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Element>?
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
