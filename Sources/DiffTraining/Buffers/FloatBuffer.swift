import Platform

/// A fixed number of float32 values in separate memory, aligned to a memory page, initially zero.
///
/// A class, so that layers, tapes and optimizers can share a buffer. Threads may use distinct parts
/// of one concurrently; callers must ensure that the parts do not overlap.
@safe public final class FloatBuffer: @unchecked Sendable {
  /// The number of values.
  public let count: Int
  private let storage: UnsafeMutablePointer<Float>

  /// Creates a buffer of zeros. Memory is taken from the system only when it is first written.
  ///
  /// - Parameters:
  ///   - count: The number of values.
  ///   - hugePages: True if all of it will be written, so that the system should use large memory
  ///     pages where it can.
  public init(count: Int, hugePages: Bool = false) {
    self.count = count
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    let memory = unsafe mmap(
      nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
      fatalError("no memory for \(count) floats")
    }
    #if canImport(Glibc) || canImport(Musl)
    // Only a hint: failure makes it slower.
    if hugePages { _ = unsafe madvise(memory, bytes, MADV_HUGEPAGE) }
    #endif
    unsafe storage = memory.bindMemory(to: Float.self, capacity: max(count, 1))
  }

  deinit { unsafe munmap(storage, max(count, 1) * MemoryLayout<Float>.stride) }

  /// The values.
  public var span: Span<Float> {
    @_lifetime(borrow self)
    borrowing get {
      let span = unsafe Span(_unsafeStart: UnsafePointer(storage), count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The values, mutable: concurrent threads must change distinct parts.
  public var mutableSpan: MutableSpan<Float> {
    @_lifetime(borrow self)
    borrowing get {
      let span = unsafe MutableSpan(_unsafeStart: storage, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Sets a range to zero.
  package func clear(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    unsafe (storage + range.lowerBound).update(repeating: 0, count: range.count)
  }

  /// Returns the address of a value, for C.
  package func pointer(at index: Int = 0) -> UnsafeMutablePointer<Float> {
    precondition(index <= count)
    return unsafe storage + index
  }
}
