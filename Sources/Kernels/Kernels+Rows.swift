extension Kernels {
  /// The layout of rows in memory: the offset of the first, and the distance from each to the next.
  package struct Rows {
    package var start, stride: Int

    package init(start: Int, stride: Int) {
      self.start = start
      self.stride = stride
    }
  }

  /// Copies `count` rows of `length` bytes.
  package static func copyRows(
    _ count: Int, length: Int, from source: Span<UInt8>, _ there: Rows,
    to target: inout MutableSpan<UInt8>, _ here: Rows
  ) {
    guard count > 0, length > 0 else { return }
    precondition(
      there.start >= 0 && there.start + (count - 1) * there.stride + length <= source.count)
    precondition(here.start >= 0 && here.start + (count - 1) * here.stride + length <= target.count)
    precondition(there.stride >= 0 && here.stride >= 0)
    unsafe source.withUnsafeBufferPointer { from in
      unsafe target.withUnsafeMutableBufferPointer { to in
        guard let base = from.baseAddress, let out = to.baseAddress else { return }
        for row in 0..<count {
          unsafe (out + here.start + row * here.stride).update(
            from: base + there.start + row * there.stride, count: length)
        }
      }
    }
  }
}
