import Kernels
import TensorCore

/// Binary coding of gaps in blocks of 128, each value with as many bits as the largest of its block
/// needs (BP128: Lemire, Boytsov 2015, "Decoding billions of integers per second through
/// vectorization"; here the values are consecutive, not in lanes). Larger than a Rice code and
/// faster to decode.
enum BinaryPacking {
  /// Returns the size of the code in bytes.
  static func size(_ gaps: Span<UInt32>) -> Int {
    var size = 0
    for (_, range) in blocks(of: gaps.count) {
      size += 1 + packedSize(range.count, bits: Kernels.width(gaps.extracting(range)))
    }
    return size
  }

  /// Appends the code of the values with these gaps.
  static func encode(_ gaps: Span<UInt32>, into bytes: inout [UInt8]) {
    for (_, range) in blocks(of: gaps.count) {
      bytes.append(UInt8(Kernels.width(gaps.extracting(range))))
    }
    for (_, range) in blocks(of: gaps.count) {
      let part = gaps.extracting(range)
      Kernels.pack(part, bits: Kernels.width(part), appendingTo: &bytes)
    }
  }

  /// Fills `values` from exactly `range` of `bytes`.
  static func decode(
    _ bytes: [UInt8], _ range: Range<Int>, into values: inout MutableSpan<UInt32>
  ) throws(DiffError) {
    let widths = range.lowerBound
    var at = widths + (values.count + blockLength - 1) / blockLength
    guard at <= range.upperBound else {
      throw .inPage("block widths run past their page", at: widths)
    }
    var next: UInt64 = 0
    for (block, part) in blocks(of: values.count) {
      let bits = Int(bytes[widths + block])
      let size = packedSize(part.count, bits: bits)
      guard bits <= 32, size <= range.upperBound - at else {
        throw .inPage("a block of gaps runs past its page", at: widths + block)
      }
      try bytes.checkPadding(bits: part.count * bits, from: at, "a block of gaps")
      var output = values._mutatingExtracting(part)
      // Includes the bytes after the block, so that its end can be read eight bytes at a time, too.
      let widest: Int
      (next, widest) = Kernels.unpackGaps(
        bytes.span.extracting(at...), bits: bits, next: next, into: &output)
      guard widest == bits else {
        throw .inPage("a block of gaps wider than needed", at: widths + block)
      }
      at += size
    }
    guard at == range.upperBound else { throw .inPage("bytes after the last gap", at: at) }
    guard next <= 1 << 32 else { throw .inPage("positions past 2^32", at: range.lowerBound) }
  }
}
