import CLinux
import Platform
import TensorCore

extension File {
  /// Writes bytes that will not be overwritten: the system starts writing them to the device at
  /// once, so that `sync` has little left to do. Where supported (Linux 6.14 with ext4, XFS and
  /// others), the bytes then leave the page cache, so that gigabytes of output do not evict other
  /// files from it.
  package func stream(_ bytes: Span<UInt8>, at offset: UInt64) throws(DiffError) {
    var done = 0
    #if canImport(Glibc)
    while done < bytes.count {
      let put = unsafe bytes.withUnsafeBufferPointer { buffer in
        var part = unsafe iovec(
          iov_base: UnsafeMutableRawPointer(
            mutating: buffer.baseAddress.map { unsafe $0 + done }),
          iov_len: buffer.count - done)
        // RWF_DONTCACHE.
        return unsafe pwritev2(descriptor, &part, 1, off_t(offset) + off_t(done), 0x80)
      }
      if put < 0 && errno == EINTR { continue }
      // If this is not supported, `write` does it, or reports the error.
      guard put > 0 else { break }
      done += put
    }
    #endif
    guard done < bytes.count else { return }
    try write(bytes.extracting(done...), at: offset + UInt64(done))
    beginWriting(offset..<offset + UInt64(bytes.count))
  }

  /// Starts writing a range to the device, without waiting.
  package func beginWriting(_ range: Range<UInt64>) {
    #if canImport(Glibc)
    // SYNC_FILE_RANGE_WRITE. Only a hint: `sync` reports failures.
    _ = sync_file_range(
      descriptor, off_t(range.lowerBound), off_t(range.upperBound - range.lowerBound), 2)
    #endif
  }
}
