import Platform
import TensorCore

/// The bytes of a tensor in memory, for reading and patching. Callers that share them between
/// threads must exclude concurrent readers and writers.
@safe package final class ResidentBytes: @unchecked Sendable {
  /// The number of bytes.
  package let count: Int
  private let base: UnsafeMutablePointer<UInt8>
  private let mapping: (start: UnsafeMutableRawPointer, length: Int)?

  /// Allocates zeros.
  package init(count: Int) {
    self.count = count
    unsafe base = .allocate(capacity: max(1, count))
    unsafe base.initialize(repeating: 0, count: count)
    unsafe mapping = nil
  }

  /// Maps bytes of a file: memory pages are read on demand and shared with other processes until
  /// they are changed here; the file is never changed. It must not be truncated during the lifetime
  /// of this object.
  package init(mapping file: File, at offset: UInt64, count: Int) throws(DiffError) {
    let size = try file.size
    guard count > 0, offset <= size, UInt64(count) <= size - offset else {
      throw DiffError(.truncated, "ends before its contents do", path: file.path, offset: offset)
    }
    let page = UInt64(sysconf(Int32(_SC_PAGESIZE)))
    let ahead = Int(offset % page)
    let start = unsafe mmap(
      nil, count + ahead, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.descriptor,
      off_t(offset - UInt64(ahead)))
    guard let start = unsafe start, unsafe start != MAP_FAILED else {
      throw .system("cannot map", file.path)
    }
    self.count = count
    unsafe base = (start + ahead).assumingMemoryBound(to: UInt8.self)
    unsafe mapping = (start, count + ahead)
  }

  deinit {
    if let mapping = unsafe mapping {
      unsafe munmap(mapping.start, mapping.length)
    } else {
      unsafe base.deallocate()
    }
  }

  /// The bytes; the caller must exclude writers while it uses the span.
  package var span: Span<UInt8> {
    @_lifetime(borrow self) get {
      let bytes = unsafe UnsafeBufferPointer(start: base, count: count)
      return unsafe _overrideLifetime(bytes.span, borrowing: self)
    }
  }

  /// Returns the bytes while `owner` is borrowed, which keeps them alive and excludes writers.
  @_lifetime(borrow owner)
  package func span<Owner: ~Copyable>(keptBy owner: borrowing Owner) -> Span<UInt8> {
    let bytes = unsafe UnsafeBufferPointer(start: base, count: count)
    return unsafe _overrideLifetime(bytes.span, borrowing: owner)
  }

  /// Calls `body` with `count` bytes at an offset, to be changed. Different ranges may be changed
  /// by several threads.
  package func change<Failure: Error>(
    at offset: Int, count: Int, _ body: (inout MutableSpan<UInt8>) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(offset >= 0 && count >= 0 && offset <= self.count - count)
    let bytes = unsafe UnsafeMutableBufferPointer(start: base + offset, count: count)
    var span = unsafe bytes.mutableSpan
    try body(&span)
  }
}
