import CZlib

/// The container of a deflate stream (RFC 1951).
package enum DeflateWrapping {
  /// No container, as in diffs and ZIP archives.
  case none
  /// zlib's header and checksum (RFC 1950), as in HDF5's chunks.
  case zlib

  /// zlib's window parameter: negative without a header.
  fileprivate var windowBits: Int32 { self == .none ? -15 : 15 }
  /// zlib's default, or for diffs the maximum, with which a whole plane is one block.
  fileprivate var memoryLevel: Int32 { self == .none ? 9 : 8 }
}

/// A reusable zlib compressor of byte spans below 4 GiB.
@safe package final class Deflater {
  private let stream: UnsafeMutablePointer<z_stream>

  /// - Parameter level: 0 ... 9.
  package init(_ wrapping: DeflateWrapping = .none, level: Int = 6) {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe deflateInit2_(
      stream, Int32(level), Z_DEFLATED, wrapping.windowBits, wrapping.memoryLevel,
      Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { fatalError("zlib cannot start: out of memory") }
  }

  deinit {
    unsafe deflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Returns the compressed bytes.
  package func compress(_ bytes: Span<UInt8>) -> [UInt8] {
    let most = unsafe Int(deflateBound(stream, uLong(bytes.count)))
    guard let compressed = compress(bytes, limit: most + 1) else {
      preconditionFailure("more than zlib's bound")
    }
    return compressed
  }

  /// Returns the compressed bytes, or nil if they would be `limit` or more.
  package func compress(_ bytes: Span<UInt8>, limit: Int) -> [UInt8]? {
    unsafe deflateReset(stream)
    var finished = false
    let capacity = UInt32(clamping: limit)
    let out = unsafe [UInt8](unsafeUninitializedCapacity: Int(capacity)) { to, count in
      unsafe bytes.withUnsafeBufferPointer { from in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(from.count)
        unsafe stream.pointee.next_out = to.baseAddress
        unsafe stream.pointee.avail_out = capacity
        finished = unsafe deflate(stream, Z_FINISH) == Z_STREAM_END
        count = unsafe Int(capacity - stream.pointee.avail_out)
      }
    }
    return finished && out.count < limit ? out : nil
  }
}

/// A reusable zlib decompressor.
@safe package final class Inflater {
  private let stream: UnsafeMutablePointer<z_stream>

  package init(_ wrapping: DeflateWrapping = .none) {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe inflateInit2_(
      stream, wrapping.windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { fatalError("zlib cannot start: out of memory") }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Expands the stream at the start of `bytes` if its contents are exactly `out.count` bytes.
  ///
  /// - Returns: the number of bytes of the stream, or nil.
  package func expand(_ bytes: Span<UInt8>, into out: inout MutableSpan<UInt8>) -> Int? {
    unsafe inflateReset(stream)
    return unsafe bytes.withUnsafeBufferPointer { from in
      unsafe out.withUnsafeMutableBufferPointer { to in
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(from.count)
        unsafe stream.pointee.next_out = to.baseAddress
        unsafe stream.pointee.avail_out = UInt32(to.count)
        let status = unsafe inflate(stream, Z_FINISH)
        guard unsafe status == Z_STREAM_END && stream.pointee.avail_out == 0 else { return nil }
        return unsafe from.count - Int(stream.pointee.avail_in)
      }
    }
  }
}
