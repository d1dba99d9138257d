import CHDF5
import TensorCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension File {
  /// Copies a range of bytes to the same place in `other`: inside the file system where it can
  /// (which may share the blocks instead), else through a buffer.
  ///
  /// - Throws: `truncated` if this file ends before the range does, `io` otherwise.
  package func copy(_ range: Range<UInt64>, to other: File) throws(DiffError) {
    var offset = try copyInKernel(range, to: other)
    var buffer: [UInt8] = []
    while offset < range.upperBound {
      let count = Int(min(1 << 20, range.upperBound - offset))
      if buffer.count != count { buffer = [UInt8](repeating: 0, count: count) }
      var span = buffer.mutableSpan
      try read(at: offset, into: &span)
      try other.write(buffer.span, at: offset)
      offset += UInt64(count)
    }
  }

  /// Copies as far as the system's call goes, and returns how far that is.
  private func copyInKernel(_ range: Range<UInt64>, to other: File) throws(DiffError) -> UInt64 {
    var offset = range.lowerBound
    #if os(Linux)
      while offset < range.upperBound {
        var from = off_t(offset)
        var to = from
        let count = Int(min(1 << 30, range.upperBound - offset))
        let copied = unsafe copy_file_range(
          descriptor, &from, other.descriptor, &to, count, 0)
        if copied < 0 && errno == EINTR { continue }
        if copied < 0 && ![EXDEV, EINVAL, ENOSYS, EOPNOTSUPP].contains(errno) {
          throw .system("cannot copy", path)
        }
        // Nothing copied: the end of the file, or a file system that does not say what it lacks.
        guard copied > 0 else { break }
        offset += UInt64(copied)
      }
    #endif
    return offset
  }
}
