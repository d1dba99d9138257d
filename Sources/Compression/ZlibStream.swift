import CZlib

/// An expander of a zlib stream (RFC 1950) that arrives in parts.
@safe package final class ZlibExpander: StreamExpander {
  private let stream: UnsafeMutablePointer<z_stream>
  private var isComplete = false

  package init() {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe inflateInit2_(
      stream, 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { fatalError("zlib cannot start: out of memory") }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  package func step(
    _ bytes: Span<UInt8>, into out: inout MutableSpan<UInt8>, at start: Int
  ) -> ExpansionStep? {
    guard !isComplete else { return ExpansionStep(taken: 0, made: 0, isComplete: true) }
    return unsafe bytes.withUnsafeBufferPointer { from in
      unsafe out.withUnsafeMutableBufferPointer { to in
        let capacity = UInt32(clamping: to.count - start)
        let offered = UInt32(clamping: from.count)
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.baseAddress)
        unsafe stream.pointee.avail_in = offered
        unsafe stream.pointee.next_out = to.baseAddress.map { unsafe $0 + start }
        unsafe stream.pointee.avail_out = capacity
        let status = unsafe inflate(stream, Z_NO_FLUSH)
        guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(status) else { return nil }
        isComplete = status == Z_STREAM_END
        return unsafe ExpansionStep(
          taken: Int(offered - stream.pointee.avail_in),
          made: Int(capacity - stream.pointee.avail_out), isComplete: isComplete)
      }
    }
  }
}

/// A compressor of bytes that arrive in parts to a zlib stream.
@safe package final class ZlibCompressor: StreamCompressor {
  private let stream: UnsafeMutablePointer<z_stream>

  /// - Parameter level: 0 ... 9.
  package init(level: Int = 6) {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe deflateInit_(
      stream, Int32(level), ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { fatalError("zlib cannot start: out of memory") }
  }

  deinit {
    unsafe deflateEnd(stream)
    unsafe stream.deallocate()
  }

  package func compress(_ bytes: Span<UInt8>, isLast: Bool) -> [UInt8] {
    var made: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    unsafe bytes.withUnsafeBufferPointer { from in
      unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.baseAddress)
      unsafe stream.pointee.avail_in = UInt32(from.count)
      repeat {
        let count = buffer.count
        unsafe buffer.withUnsafeMutableBufferPointer { to in
          unsafe stream.pointee.next_out = to.baseAddress
          unsafe stream.pointee.avail_out = UInt32(count)
          unsafe _ = deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
        }
        unsafe made += buffer[..<(count - Int(stream.pointee.avail_out))]
      } while unsafe stream.pointee.avail_out == 0
    }
    return made
  }
}
