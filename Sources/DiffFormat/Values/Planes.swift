import Compression
import Kernels
import Platform
import TensorCore

/// A coding of a byte plane. Raw values are those of the file.
public enum PlaneCoding: UInt8, Sendable, Hashable, CaseIterable {
  case raw = 0
  /// All bytes are equal; one is stored.
  case constant = 1
  case deflate = 2
}

/// Coding of values as byte planes: the first bytes of all values, then the second bytes, and so
/// on, each plane in its own coding. This separates exponents, which are redundant, from mantissas,
/// which are not.
enum Planes {
  /// Appends the planes of `values`; with `fast`, none is deflated.
  static func encode(
    _ values: Span<UInt8>, width: Int, fast: Bool, _ deflater: Deflater, into bytes: inout [UInt8]
  ) {
    var planes = [UInt8](repeating: 0, count: values.count)
    var out = planes.mutableSpan
    Kernels.splitPlanes(values, width: width, into: &out)
    let count = values.count / width
    for plane in 0..<width {
      let run = planes.span.extracting(plane * count..<(plane + 1) * count)
      encode(run, fast: fast, deflater, into: &bytes)
    }
  }

  private static func encode(
    _ plane: Span<UInt8>, fast: Bool, _ deflater: Deflater, into bytes: inout [UInt8]
  ) {
    let histogram = Kernels.histogram(plane)
    if histogram[Int(plane[0])] == plane.count {
      bytes += [PlaneCoding.constant.rawValue, plane[0]]
    } else if fast || !deflate(plane, histogram, deflater, into: &bytes) {
      bytes.append(PlaneCoding.raw.rawValue)
      bytes.append(copying: plane)
    }
  }

  /// Appends the smallest deflate stream with its header, if it is smaller than the plane; returns
  /// false otherwise.
  private static func deflate(
    _ plane: Span<UInt8>, _ histogram: [UInt32], _ deflater: Deflater, into bytes: inout [UInt8]
  ) -> Bool {
    let count = Double(plane.count)
    let most = Double(histogram.max() ?? 0) / count
    let bits = histogram.reduce(0.0) { sum, n in
      n == 0 ? sum : sum + Double(n) * log2(count / Double(n))
    }
    // The histogram is too flat for Huffman codes. Matches among such bytes are rare in weights,
    // and searching for them takes twenty times as long.
    guard bits < 7.9 * count else { return false }
    let block = HuffmanBlock(histogram)
    let limit = min(block.size, plane.count)
    // Huffman codes take at least a bit per byte; if one byte is frequent, matches take less.
    if most > 0.5, let matches = deflater.compress(plane, limit: limit),
      isSmaller(matches.count, than: plane)
    {
      bytes.append(PlaneCoding.deflate.rawValue)
      bytes.append(varint: UInt64(matches.count))
      bytes += matches
      return true
    }
    guard isSmaller(block.size, than: plane) else { return false }
    bytes.append(PlaneCoding.deflate.rawValue)
    bytes.append(varint: UInt64(block.size))
    block.encode(plane, into: &bytes)
    return true
  }

  /// Returns whether a stream of `size` bytes and its size field are smaller than the plane.
  private static func isSmaller(_ size: Int, than plane: Span<UInt8>) -> Bool {
    let sizeField = (Int.bitWidth - size.leadingZeroBitCount + 6) / 7
    return sizeField + size < plane.count
  }

  /// Fills `values` from exactly `range` of `bytes`; `scratch` has the same size.
  static func decode(
    _ bytes: [UInt8], _ range: Range<Int>, width: Int, into values: inout MutableSpan<UInt8>,
    scratch: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    let inflater = Inflater()
    var cursor = Cursor(bytes, origin: 0, at: range.lowerBound, end: range.upperBound)
    let count = values.count / width
    for plane in 0..<width {
      var out = scratch._mutatingExtracting(plane * count..<(plane + 1) * count)
      let start = cursor.at
      do throws(DiffError) {
        switch PlaneCoding(rawValue: try cursor.byte("plane coding")) {
        case .raw:
          out.copy(bytes.span.extracting(try cursor.take(UInt64(count), "a raw plane")))
        case .constant:
          out.update(repeating: try cursor.byte("a constant plane"))
        case .deflate:
          let source = try cursor.take(try cursor.varint("deflated size"), "a deflated plane")
          guard inflater.expand(bytes.span.extracting(source), into: &out) == source.count else {
            throw cursor.malformed("a deflated plane does not inflate to its size")
          }
        case nil: throw cursor.malformed("unknown plane coding")
        }
      } catch {
        throw .inPage(error.message, at: start)
      }
    }
    guard cursor.remaining == 0 else {
      throw .inPage("bytes after the last plane", at: cursor.at)
    }
    Kernels.joinPlanes(scratch.span, width: width, into: &values)
  }
}
