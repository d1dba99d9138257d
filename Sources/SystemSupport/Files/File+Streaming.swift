import CLinux
import Platform
import TensorCore

extension File {
  /// Writes like `write` what nothing is written over: the device begins with it at once, so that
  /// `sync` finds little left to do. Where the system can (Linux 6.14, ext4, XFS and others), the
  /// bytes then leave the page cache, whose pages are used again: gigabytes that pass through do
  /// not drive out what others have there, and need no memory that was not in use.
  package func stream(_ bytes: Span<UInt8>, at offset: UInt64) throws(DiffError) {
    var done = 0
    #if canImport(Glibc)
    while done < bytes.count {
      let put = unsafe bytes.withUnsafeBufferPointer { buffer in
        var piece = unsafe iovec(
          iov_base: UnsafeMutableRawPointer(
            mutating: buffer.baseAddress.map { unsafe $0 + done }),
          iov_len: buffer.count - done)
        // RWF_DONTCACHE.
        return unsafe pwritev2(descriptor, &piece, 1, off_t(offset) + off_t(done), 0x80)
      }
      if put < 0 && errno == EINTR { continue }
      // Where it cannot be done so, `write` finds out whether it can be done at all.
      guard put > 0 else { break }
      done += put
    }
    #endif
    guard done < bytes.count else { return }
    try write(bytes.extracting(done...), at: offset + UInt64(done))
    beginWriting(offset..<offset + UInt64(bytes.count))
  }

  /// Lets the device begin with what was written to a range, and waits for nothing.
  package func beginWriting(_ range: Range<UInt64>) {
    #if canImport(Glibc)
    // SYNC_FILE_RANGE_WRITE. Only advice: what fails is told by `sync`.
    _ = sync_file_range(
      descriptor, off_t(range.lowerBound), off_t(range.upperBound - range.lowerBound), 2)
    #endif
  }
}
