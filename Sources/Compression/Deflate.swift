import CZlib

/// Raw deflate (RFC 1951) by zlib: a compressor of many short runs of bytes.
@safe package final class Deflater {
  private let stream: UnsafeMutablePointer<z_stream>

  package init() {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    // A window without header or trailer; level 9 of memory makes one block of a whole plane.
    let status = unsafe deflateInit2_(
      stream, 6, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { fatalError("zlib cannot start: out of memory") }
  }

  deinit {
    unsafe deflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// The compressed bytes, or nil if they would be `limit` or more.
  package func compress(_ bytes: Span<UInt8>, limit: Int) -> [UInt8]? {
    unsafe deflateReset(stream)
    var finished = false
    let out = unsafe [UInt8](unsafeUninitializedCapacity: limit) { to, count in
      unsafe bytes.withUnsafeBufferPointer { from in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(from.count)
        unsafe stream.pointee.next_out = to.baseAddress
        unsafe stream.pointee.avail_out = UInt32(limit)
        finished = unsafe deflate(stream, Z_FINISH) == Z_STREAM_END
        count = unsafe limit - Int(stream.pointee.avail_out)
      }
    }
    return finished && out.count < limit ? out : nil
  }
}

/// The decompressor of the same.
@safe package final class Inflater {
  private let stream: UnsafeMutablePointer<z_stream>

  package init() {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe inflateInit2_(
      stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { fatalError("zlib cannot start: out of memory") }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Whether `bytes` are one deflate stream, to the last byte, of exactly `out.count` bytes.
  package func expand(_ bytes: Span<UInt8>, into out: inout MutableSpan<UInt8>) -> Bool {
    unsafe inflateReset(stream)
    return unsafe bytes.withUnsafeBufferPointer { from in
      unsafe out.withUnsafeMutableBufferPointer { to in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(from.count)
        unsafe stream.pointee.next_out = to.baseAddress
        unsafe stream.pointee.avail_out = UInt32(to.count)
        let status = unsafe inflate(stream, Z_FINISH)
        return unsafe status == Z_STREAM_END && stream.pointee.avail_in == 0
          && stream.pointee.avail_out == 0
      }
    }
  }
}
