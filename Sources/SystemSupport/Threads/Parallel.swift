import TensorCore

/// Runs `body(0)` … `body(count - 1)` on all cores and waits for the last. All parallel work of
/// diffkit goes through this function. Throws the error of the lowest index.
package func parallelFor(
  _ count: Int, _ body: @Sendable (Int) throws(DiffError) -> Void
) throws(DiffError) {
  if count == 1 { return try body(0) }
  let failure = Guarded<(index: Int, error: DiffError)?>(nil)
  parallelFor(count) { index in
    do throws(DiffError) { try body(index) } catch {
      failure.withLock { first in
        if first.map({ index < $0.index }) ?? true { first = (index, error) }
      }
    }
  }
  if let error = failure.withLock({ $0?.error }) { throw error }
}

/// Runs `body(0)` … `body(count - 1)` on all cores and waits for the last.
package func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
  guard count > 1, ProcessorCount.online > 1 else {
    for index in 0..<count { body(index) }
    return
  }
  ThreadPool.shared.perform(count, body)
}

/// Calls `body` for the elements of an array on all cores, each changed by one thread. Throws the
/// error of the lowest index.
package func parallelForEach<Element: Sendable>(
  _ elements: inout [Element], count: Int? = nil,
  _ body: @Sendable (Int, inout Element) throws(DiffError) -> Void
) throws(DiffError) {
  let count = count ?? elements.count
  precondition(count <= elements.count)
  // The elements are distinct memory, which the compiler cannot verify.
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
