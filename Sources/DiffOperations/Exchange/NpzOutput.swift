import Compression
import DiffFormat
import TensorCore

/// Writes an archive of arrays as `numpy.savez` does: an uncompressed ZIP file, with a fixed date,
/// so that equal arrays give equal bytes.
package final class NpzOutput {
  private let sink: FileSink
  private var offset: UInt64 = 0
  private var directory: [UInt8] = []
  private var count = 0

  /// - Throws: `exists`, `io`.
  package init(_ path: String, overwriting: Bool) throws(DiffError) {
    sink = try FileSink(path, overwriting: overwriting)
  }

  /// Adds an array.
  ///
  /// - Throws: `unsupported` for types that NumPy does not have; `limit` if the archive would be
  ///   larger than ZIP's 4 GB, or hold more than 65 534 arrays.
  package func write(_ name: TensorName, _ array: NumPyArray) throws(DiffError) {
    guard let file = array.file else {
      throw DiffError(
        .unsupported, "NumPy has no type \(array.type); use sparse HDF5", tensor: name)
    }
    let member = Array("\(name).npy".utf8)
    let end = offset + UInt64(30 + member.count + file.count)
    guard end + UInt64(directory.count) + 1 << 16 < UInt64(UInt32.max), count < 65_534,
      member.count < 65_536
    else {
      throw DiffError(.limit, "exceeds the limits of a ZIP archive; use sparse HDF5", tensor: name)
    }
    let hash = CRC32.hash(file.span)
    // Version 2.0, only the flag of a UTF-8 name, stored, 1 January 1980.
    var fields: [UInt8] = []
    for number in [20, 0x800, 0, 0, 0x21] as [UInt16] { fields += number.littleEndianBytes }
    fields += hash.littleEndianBytes
    for _ in 0..<2 { fields += UInt32(file.count).littleEndianBytes }
    fields += UInt16(member.count).littleEndianBytes + [0, 0]
    let local = Array("PK\u{3}\u{4}".utf8) + fields + member
    directory += Array("PK\u{1}\u{2}".utf8) + [20, 0] + fields
    directory += [UInt8](repeating: 0, count: 10) + UInt32(offset).littleEndianBytes + member
    try sink.write(local.span)
    try sink.write(file.span)
    offset = end
    count += 1
  }

  /// Writes the directory and makes the file appear under its name.
  package func commit() throws(DiffError) {
    var end = directory + Array("PK\u{5}\u{6}".utf8) + [0, 0, 0, 0]
    for _ in 0..<2 { end += UInt16(count).littleEndianBytes }
    end += UInt32(directory.count).littleEndianBytes + UInt32(offset).littleEndianBytes + [0, 0]
    try sink.write(end.span)
    try sink.commit()
  }
}
