import CZlib
import TensorCore

/// Whole zlib streams (RFC 1950), as HDF5's filter of that name stores them.
package enum Zlib {
  /// The bytes of a stream that holds exactly `count`, or nil.
  package static func expand(_ stream: Span<UInt8>, count: Int) -> [UInt8]? {
    var length = uLongf(count)
    var status = Z_OK
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { room, used in
      unsafe stream.withUnsafeBufferPointer { from in
        status = unsafe uncompress(room.baseAddress, &length, from.baseAddress, uLong(from.count))
      }
      used = status == Z_OK ? Int(length) : 0
    }
    return status == Z_OK && bytes.count == count ? bytes : nil
  }

  /// A stream of some bytes.
  package static func compress(_ bytes: Span<UInt8>, level: Int) throws(DiffError) -> [UInt8] {
    let capacity = Int(compressBound(uLong(bytes.count)))
    var length = uLongf(capacity)
    var status = Z_OK
    let stream = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { room, used in
      unsafe bytes.withUnsafeBufferPointer { from in
        status = unsafe compress2(
          room.baseAddress, &length, from.baseAddress, uLong(from.count), Int32(level))
      }
      used = status == Z_OK ? Int(length) : 0
    }
    guard status == Z_OK else { throw DiffError(.io, "zlib cannot pack a chunk: out of memory") }
    return stream
  }
}
