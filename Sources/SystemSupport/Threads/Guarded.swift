/// A value that is protected by a lock.
package final class Guarded<Value: ~Copyable>: @unchecked Sendable {
  private let lock = Lock()
  private var value: Value

  package init(_ value: consuming sending Value) { self.value = value }

  /// Runs `body` with the value under the lock.
  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try lock.withLock { () throws(Failure) in try body(&value) }
  }
}
