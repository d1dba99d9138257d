import Kernels
import SystemSupport
import TensorCore

/// Changed elements of a file that stand close together: their new bytes, and the old ones of some
/// of them, by which a file is recognised that is not yet changed.
struct JournalRun: Sendable {
  /// Where the first of them begins in the file.
  let offset: UInt64
  /// Bytes of an element.
  let width: Int
  /// Elements from the first changed one to the last.
  let count: Int
  /// Which of them change, ascending; nil for all.
  let positions: [UInt32]?
  /// Some of them.
  let samples: [UInt32]
  /// Holds the bytes.
  let batch: [UInt8]
  /// The new bytes of the changes, and the old ones of the samples.
  let new, old: Range<Int>

  /// The bytes of the file from the first changed element to the last.
  var range: Range<UInt64> { offset..<offset + UInt64(count * width) }

  /// Whether in each byte of the samples stands the new or the old one.
  func fits(_ file: File) throws(DiffError) -> Bool {
    let found = try file.bytes(at: offset, count: count * width)
    var changed = found
    var span = changed.mutableSpan
    change(&span)
    return samples.indices.allSatisfy { sample in
      (0..<width).allSatisfy {
        let byte = Int(samples[sample]) * width + $0
        return found[byte] == changed[byte]
          || found[byte] == batch[old.lowerBound + sample * width + $0]
      }
    }
  }

  /// Writes the new bytes; what stands between them stays.
  func write(to file: File) throws(DiffError) {
    guard positions != nil else { return try file.write(batch.span.extracting(new), at: offset) }
    var bytes = try file.bytes(at: offset, count: count * width)
    var span = bytes.mutableSpan
    change(&span)
    try file.write(bytes.span, at: offset)
  }

  private func change(_ bytes: inout MutableSpan<UInt8>) {
    guard let positions else { return bytes.copy(batch.span.extracting(new)) }
    Kernels.scatter(
      .replace, &bytes, width: width, at: positions.span, batch.span.extracting(new))
  }
}
