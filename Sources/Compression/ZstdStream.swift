import CZstd

/// An expander of one or several Zstandard frames (RFC 8878) that arrive in parts. A frame with a
/// window of more than 128 MiB is treated as damaged.
@safe package final class ZstdExpander: StreamExpander {
  private let stream: OpaquePointer

  package init() {
    guard let made = unsafe ZSTD_createDStream() else {
      fatalError("zstd cannot start: out of memory")
    }
    unsafe stream = made
    unsafe ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 27)
  }

  deinit { unsafe ZSTD_freeDStream(stream) }

  package func step(
    _ bytes: Span<UInt8>, into out: inout MutableSpan<UInt8>, at start: Int
  ) -> ExpansionStep? {
    unsafe bytes.withUnsafeBytes { from in
      unsafe out.withUnsafeMutableBytes { to in
        var input = unsafe ZSTD_inBuffer(src: from.baseAddress, size: from.count, pos: 0)
        var output = unsafe ZSTD_outBuffer(dst: to.baseAddress, size: to.count, pos: start)
        let status = unsafe ZSTD_decompressStream(stream, &output, &input)
        guard ZSTD_isError(status) == 0 else { return nil }
        return unsafe ExpansionStep(
          taken: input.pos, made: output.pos - start, isComplete: status == 0)
      }
    }
  }
}

/// A compressor of bytes that arrive in parts to a Zstandard frame that states the size of its
/// contents.
@safe package final class ZstdCompressor: StreamCompressor {
  private let stream: OpaquePointer
  private var buffer: [UInt8]

  /// - Parameters:
  ///   - level: 1 ... 19.
  ///   - size: the number of bytes that will be compressed.
  package init(level: Int, size: UInt64) {
    guard let made = unsafe ZSTD_createCCtx() else {
      fatalError("zstd cannot start: out of memory")
    }
    unsafe stream = made
    buffer = [UInt8](repeating: 0, count: ZSTD_CStreamOutSize())
    unsafe ZSTD_CCtx_setParameter(stream, ZSTD_c_compressionLevel, Int32(level))
    unsafe ZSTD_CCtx_setPledgedSrcSize(stream, size)
  }

  deinit { unsafe ZSTD_freeCCtx(stream) }

  package func compress(_ bytes: Span<UInt8>, isLast: Bool) -> [UInt8] {
    var made: [UInt8] = []
    unsafe bytes.withUnsafeBytes { from in
      var input = unsafe ZSTD_inBuffer(src: from.baseAddress, size: from.count, pos: 0)
      var rest = 0
      repeat {
        let count = unsafe buffer.withUnsafeMutableBytes { to in
          var output = unsafe ZSTD_outBuffer(dst: to.baseAddress, size: to.count, pos: 0)
          rest = unsafe ZSTD_compressStream2(
            stream, &output, &input, isLast ? ZSTD_e_end : ZSTD_e_continue)
          return unsafe output.pos
        }
        precondition(ZSTD_isError(rest) == 0, "not the declared number of bytes")
        made += buffer[..<count]
      } while unsafe isLast ? rest != 0 : input.pos < input.size
    }
    return made
  }
}
