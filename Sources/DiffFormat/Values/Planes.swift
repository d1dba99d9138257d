import Compression
import Kernels
import Platform
import TensorCore

/// How a byte plane is stored. Raw values are those of the file.
public enum PlaneCoding: UInt8, Sendable, Hashable, CaseIterable {
  case raw = 0
  /// All bytes are the same one.
  case constant = 1
  case deflate = 2
}

/// Values as byte planes: the first bytes of all values, then the second ones, and so on, each
/// plane in its own coding. Exponents and mantissas are so kept apart: one is redundant, the
/// other is not.
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

  /// Appends the smallest deflate stream with its head, if one is smaller than the plane.
  private static func deflate(
    _ plane: Span<UInt8>, _ histogram: [UInt32], _ deflater: Deflater, into bytes: inout [UInt8]
  ) -> Bool {
    let count = Double(plane.count)
    let most = Double(histogram.max() ?? 0) / count
    let bits = histogram.reduce(0.0) { sum, n in
      n == 0 ? sum : sum + Double(n) * log2(count / Double(n))
    }
    // Not compressible by its histogram. (Matches among such bytes are rare in weights, and
    // looking for them takes twenty times as long.)
    guard bits < 7.9 * count else { return false }
    let block = HuffmanBlock(histogram)
    let limit = min(block.size, plane.count)
    // Huffman codes take a bit at least, however likely a byte is; runs then take less.
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

  /// Whether a stream of `size` bytes and its size field are smaller than the plane.
  private static func isSmaller(_ size: Int, than plane: Span<UInt8>) -> Bool {
    let sizeField = (Int.bitWidth - size.leadingZeroBitCount + 6) / 7
    return sizeField + size < plane.count
  }

  /// Fills `values` from exactly `range` of `bytes`; `scratch` has the same room.
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
          let place = try cursor.take(try cursor.varint("deflated size"), "a deflated plane")
          guard inflater.expand(bytes.span.extracting(place), into: &out) == place.count else {
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
