/// The C kernels on spans. Each function is called once per page or block, never per element; its
/// preconditions detect errors of diffkit itself and cannot be violated by input.
package enum Kernels {}

// Access to the memory of one or several spans for kernels. An empty span may have no address,
// which kernels do not use.
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
