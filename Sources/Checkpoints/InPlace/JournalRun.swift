import Kernels
import SystemSupport
import TensorCore

/// Changed elements of a file that are close together: their new bytes, and the old ones of some of
/// them, by which a file that is not yet changed is recognized.
struct JournalRun: Sendable {
  /// The offset of the first changed element in the file.
  let offset: UInt64
  /// The number of bytes of an element.
  let width: Int
  /// The number of elements from the first changed one to the last.
  let count: Int
  /// The changed elements, relative to the first, ascending; nil if all change.
  let positions: [UInt32]?
  /// The changed elements whose old bytes are known.
  let samples: [UInt32]
  /// The record that holds the bytes.
  let record: [UInt8]
  /// The ranges in `record` of the new bytes of the changes and of the old bytes of the samples.
  let new, old: Range<Int>

  /// The byte range in the file from the first changed element to the last.
  var range: Range<UInt64> { offset..<offset + UInt64(count * width) }

  /// Returns whether each byte of the samples in the file is the new or the old one.
  func fits(_ file: File) throws(DiffError) -> Bool {
    let found = try file.bytes(at: offset, count: count * width)
    var changed = found
    var span = changed.mutableSpan
    change(&span)
    return samples.indices.allSatisfy { sample in
      (0..<width).allSatisfy {
        let byte = Int(samples[sample]) * width + $0
        return found[byte] == changed[byte]
          || found[byte] == record[old.lowerBound + sample * width + $0]
      }
    }
  }

  /// Writes the new bytes; those between them stay.
  func write(to file: File) throws(DiffError) {
    guard positions != nil else { return try file.write(record.span.extracting(new), at: offset) }
    var bytes = try file.bytes(at: offset, count: count * width)
    var span = bytes.mutableSpan
    change(&span)
    try file.write(bytes.span, at: offset)
  }

  private func change(_ bytes: inout MutableSpan<UInt8>) {
    guard let positions else { return bytes.copy(record.span.extracting(new)) }
    Kernels.scatter(
      .replace, &bytes, width: width, at: positions.span, record.span.extracting(new))
  }
}
