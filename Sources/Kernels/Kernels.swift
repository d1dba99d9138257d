/// The C kernels on spans. Each function is called once per page or block, never per element;
/// preconditions here guard against errors in diffkit itself and are unreachable by input.
package enum Kernels {}

// What kernels are given: the memory of one span or more. That of an empty one may have no address,
// which a kernel does not ask for then.
extension Kernels {
  static func memory<A, Result>(
    _ a: Span<A>, _ body: (UnsafeBufferPointer<A>) -> Result
  ) -> Result {
    unsafe a.withUnsafeBufferPointer { unsafe body($0) }
  }

  static func memory<A, B, Result>(
    _ a: Span<A>, _ b: Span<B>,
    _ body: (UnsafeBufferPointer<A>, UnsafeBufferPointer<B>) -> Result
  ) -> Result {
    unsafe memory(a) { a in unsafe memory(b) { b in unsafe body(a, b) } }
  }

  static func memory<A, Result>(
    _ a: inout MutableSpan<A>, _ body: (UnsafeMutableBufferPointer<A>) -> Result
  ) -> Result {
    unsafe a.withUnsafeMutableBufferPointer { unsafe body($0) }
  }

  static func memory<A, B, Result>(
    _ a: Span<A>, _ b: inout MutableSpan<B>,
    _ body: (UnsafeBufferPointer<A>, UnsafeMutableBufferPointer<B>) -> Result
  ) -> Result {
    unsafe memory(a) { a in unsafe memory(&b) { b in unsafe body(a, b) } }
  }

  static func memory<A, B, C, Result>(
    _ a: Span<A>, _ b: Span<B>, _ c: inout MutableSpan<C>,
    _ body: (UnsafeBufferPointer<A>, UnsafeBufferPointer<B>, UnsafeMutableBufferPointer<C>) ->
      Result
  ) -> Result {
    unsafe memory(a, b) { a, b in unsafe memory(&c) { c in unsafe body(a, b, c) } }
  }
}
