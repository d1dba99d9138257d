import DiffFormat
import Synchronization
import TensorCore

/// A source that records the ranges that are read.
package final class CountingSource: ByteSource {
  private let bytes: [UInt8]
  private let log = Mutex<[Range<UInt64>]>([])

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var size: UInt64 { UInt64(bytes.count) }

  package func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    let end = offset + UInt64(buffer.count)
    log.withLock { $0.append(offset..<end) }
    try MemorySource(bytes).read(at: offset, into: &buffer)
  }

  /// Returns the ranges read since the last call.
  package func takeReads() -> [Range<UInt64>] {
    log.withLock { reads in
      defer { reads = [] }
      return reads
    }
  }
}
