import CLinux
import Platform
import TensorCore

extension File {
  /// Copies a range of bytes to the same or another offset of a file, which must read as zeros
  /// there. Holes stay holes; the rest is copied by the file system if possible (which may share
  /// blocks instead), else through a buffer.
  ///
  /// - Throws: `truncated` if this file ends before the range does, `io` otherwise.
  package func copy(
    _ range: Range<UInt64>, to other: File, at destination: UInt64? = nil
  ) throws(DiffError) {
    let shift = Int64(destination ?? range.lowerBound) - Int64(range.lowerBound)
    guard try size >= range.upperBound else {
      throw DiffError(.truncated, "the file ends too early", path: path, offset: try size)
    }
    var offset = range.lowerBound
    while let data = nextData(offset..<range.upperBound) {
      offset = copyInKernel(data, to: other, shift)
      try copyThroughBuffer(offset..<data.upperBound, to: other, shift)
      offset = data.upperBound
    }
  }

  /// Returns the first range of bytes that is not a hole; the whole range if holes are not
  /// reported.
  private func nextData(_ range: Range<UInt64>) -> Range<UInt64>? {
    guard !range.isEmpty else { return nil }
    #if os(Linux)
    // SEEK_DATA and SEEK_HOLE, which the Glibc module does not have.
    let data = lseek(descriptor, off_t(range.lowerBound), 3)
    if data < 0 && errno == ENXIO { return nil }
    let hole = data < 0 ? -1 : lseek(descriptor, data, 4)
    if hole > data && data >= off_t(range.lowerBound) {
      let start = UInt64(data)
      return start < range.upperBound ? start..<min(UInt64(hole), range.upperBound) : nil
    }
    #endif
    return range
  }

  /// Copies as much as the system call can, and returns the end of the copied bytes. Errors are not
  /// reported here, because file systems and sandboxes refuse the call in many ways; copying
  /// through a buffer reports real ones.
  private func copyInKernel(_ range: Range<UInt64>, to other: File, _ shift: Int64) -> UInt64 {
    var offset = range.lowerBound
    #if os(Linux)
    while offset < range.upperBound {
      var from = off_t(offset)
      var to = from + off_t(shift)
      let start = UInt64(to)
      let count = Int(min(64 << 20, range.upperBound - offset))
      let copied = unsafe copy_file_range(
        descriptor, &from, other.descriptor, &to, count, 0)
      if copied < 0 && errno == EINTR { continue }
      guard copied > 0 else { break }
      other.beginWriting(start..<start + UInt64(copied))
      offset += UInt64(copied)
    }
    #endif
    return offset
  }

  private func copyThroughBuffer(
    _ range: Range<UInt64>, to other: File, _ shift: Int64
  ) throws(DiffError) {
    var offset = range.lowerBound
    var buffer: [UInt8] = []
    while offset < range.upperBound {
      let count = Int(min(1 << 20, range.upperBound - offset))
      if buffer.count != count { buffer = [UInt8](repeating: 0, count: count) }
      var span = buffer.mutableSpan
      try read(at: offset, into: &span)
      try other.stream(buffer.span, at: UInt64(Int64(offset) + shift))
      offset += UInt64(count)
    }
  }
}
