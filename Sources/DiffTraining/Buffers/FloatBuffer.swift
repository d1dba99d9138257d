import Platform

/// A fixed number of float32 values in memory of their own, aligned to a page, zero at first.
///
/// A class, so that layers, tapes and optimizers can hold the same buffer. Threads may use
/// distinct parts of one at the same time; who does so must keep the parts apart.
@safe public final class FloatBuffer: @unchecked Sendable {
  /// How many values.
  public let count: Int
  private let storage: UnsafeMutablePointer<Float>

  /// Zeros. Memory that is never written is never taken from the system.
  ///
  /// - Parameter hugePages: Whether it is all going to be written, so that the system should take
  ///   it in large pages where it can.
  public init(count: Int, hugePages: Bool = false) {
    self.count = count
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    let memory = unsafe mmap(
      nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
      fatalError("no memory for \(count) floats")
    }
    #if canImport(Glibc) || canImport(Musl)
    // A wish: it is slower without.
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

  /// The values, to be changed: of distinct parts by one thread each.
  public var mutableSpan: MutableSpan<Float> {
    @_lifetime(borrow self)
    borrowing get {
      let span = unsafe MutableSpan(_unsafeStart: storage, count: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Makes a part zero.
  package func clear(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    unsafe (storage + range.lowerBound).update(repeating: 0, count: range.count)
  }

  /// The address of a value, for C.
  package func pointer(at index: Int = 0) -> UnsafeMutablePointer<Float> {
    precondition(index <= count)
    return unsafe storage + index
  }
}
