import Compression
import Kernels
import TensorCore

/// Unpacks and packs the chunks of a tensor through their filters, without libhdf5.
package struct ChunkCodec: Sendable {
  /// The number of bytes of a chunk without filters.
  let byteCount: Int
  private let filters: [StoredTensor.Filter]
  private let type: ElementType
  private let isBigEndian: Bool
  private let fill: UInt64

  /// The maximum size of chunks that are unpacked here. Larger ones are left to the process of
  /// libhdf5, because each takes several times its size in memory.
  package static let maximumByteCount: UInt64 = 16 << 20

  /// Creates the codec of a tensor; nil if libhdf5 must read its chunks.
  ///
  /// - Parameter largest: the maximum number of bytes of a chunk.
  package init?(_ tensor: StoredTensor, largest: UInt64 = maximumByteCount) {
    guard case .chunked(let chunks) = tensor.storage else { return nil }
    let size = chunks.byteCount(tensor.type)
    var deflates = 0
    for filter in chunks.filters {
      switch filter {
      case .deflate: deflates += 1
      case .shuffle, .fletcher32: break
      case .szip, .other: return nil
      }
    }
    guard size <= largest, deflates <= 1, chunks.filters.count <= 32 else {
      return nil
    }
    byteCount = Int(size)
    filters = chunks.filters
    type = tensor.type
    isBigEndian = tensor.isBigEndian
    fill = tensor.fill
  }

  package var isFiltered: Bool { !filters.isEmpty }

  /// Sets all elements of `bytes`, which are zeros, to the fill value.
  func fill(_ bytes: inout MutableSpan<UInt8>) {
    if fill != 0 { Kernels.fill(&bytes, fill, width: type.width) }
  }

  /// Returns a chunk of fill values, for one that is not stored.
  func missing() -> [UInt8] {
    var chunk = [UInt8](repeating: 0, count: byteCount)
    var span = chunk.mutableSpan
    fill(&span)
    return chunk
  }

  /// Returns the little-endian elements of a stored chunk.
  ///
  /// - Parameter filterMask: a bit mask of the filters that were skipped.
  /// - Throws: `malformed` if it does not unpack to a chunk, `checksum` if its checksum is wrong.
  package func unpack(
    _ stored: consuming [UInt8], filterMask: UInt32
  ) throws(DiffError) -> [UInt8] {
    var sizes = [byteCount]
    for (index, filter) in filters.enumerated() {
      let adds = filter == .fletcher32 && filterMask >> UInt32(index) & 1 == 0
      sizes.append(sizes[index] + (adds ? 4 : 0))
    }
    var bytes = consume stored
    for (index, filter) in filters.enumerated().reversed()
    where filterMask >> UInt32(index) & 1 == 0 {
      switch filter {
      case .deflate:
        let packed = consume bytes
        bytes = [UInt8](repeating: 0, count: sizes[index])
        var out = bytes.mutableSpan
        guard Inflater(.zlib).expand(packed.span, into: &out) != nil else {
          throw DiffError(.malformed, "a chunk does not unpack to its size")
        }
      case .shuffle: bytes = shuffled(bytes, back: true)
      case .fletcher32: try Self.removeChecksum(&bytes)
      case .szip, .other: break
      }
    }
    guard bytes.count == byteCount else {
      throw DiffError(.malformed, "a chunk does not unpack to its size")
    }
    swap(&bytes)
    return bytes
  }

  /// The elements of a stored chunk that is read in pieces, none of which is kept; shuffled and in
  /// the byte order of the file, as `elements` reads them.
  ///
  /// - Parameters:
  ///   - size: the bytes of the stored chunk.
  ///   - piece: reads a range of them.
  /// - Returns: nil if the chunk passed other filters than deflate and, before it, shuffle.
  /// - Throws: `malformed` if it does not unpack to a chunk.
  package func unpackStream(
    size: UInt64, _ piece: (Range<UInt64>) throws(DiffError) -> [UInt8]
  ) throws(DiffError) -> [UInt8]? {
    guard case .deflate? = filters.last,
      filters.dropLast().allSatisfy({ $0 == .shuffle }), filters.count <= 2
    else { return nil }
    var out = [UInt8](repeating: 0, count: byteCount)
    let expander = ZlibExpander()
    var (offset, made, isComplete) = (UInt64(0), 0, false)
    while offset < size && !isComplete {
      let bytes = try piece(offset..<min(size, offset + 1 << 20))
      offset += UInt64(bytes.count)
      var done = 0
      while !isComplete && (done < bytes.count || made < byteCount) {
        var span = out.mutableSpan
        guard let step = expander.step(bytes.span.extracting(done...), into: &span, at: made) else {
          throw DiffError(.malformed, "a chunk does not unpack to its size")
        }
        done += step.taken
        made += step.made
        isComplete = step.isComplete
        if step.taken == 0 && step.made == 0 { break }
      }
      // A stream that goes on where the chunk ends would never take the rest.
      guard done == bytes.count || isComplete else { break }
    }
    guard isComplete, made == byteCount else {
      throw DiffError(.malformed, "a chunk does not unpack to its size")
    }
    return out
  }

  /// The little-endian elements in a range of bytes of what `unpackStream` returned.
  package func elements(_ range: Range<Int>, of chunk: [UInt8]) -> [UInt8] {
    let width = type.width
    var bytes = [UInt8](repeating: 0, count: range.count)
    var span = bytes.mutableSpan
    let count = byteCount / width
    if filters.contains(.shuffle), width > 1, count > 1 {
      var planes: [UInt8] = []
      planes.reserveCapacity(range.count)
      let (first, end) = (range.lowerBound / width, range.upperBound / width)
      for plane in 0..<width { planes += chunk[plane * count + first..<plane * count + end] }
      Kernels.joinPlanes(planes.span, width: width, into: &span)
    } else {
      span.copy(chunk.span.extracting(range))
    }
    if isBigEndian { Kernels.swapBytes(&span, width: type.byteOrderWidth) }
    return bytes
  }

  /// Returns a chunk as it is stored, after all filters.
  package func pack(_ chunk: consuming [UInt8]) -> [UInt8] {
    var bytes = consume chunk
    swap(&bytes)
    for filter in filters {
      switch filter {
      case .deflate(let level): bytes = Deflater(.zlib, level: level).compress(bytes.span)
      case .shuffle: bytes = shuffled(bytes, back: false)
      case .fletcher32: bytes.append(littleEndian: Fletcher32.sum(bytes.span))
      case .szip, .other: break
      }
    }
    return bytes
  }

  private func swap(_ bytes: inout [UInt8]) {
    guard isBigEndian else { return }
    var span = bytes.mutableSpan
    Kernels.swapBytes(&span, width: type.byteOrderWidth)
  }

  /// Returns the first bytes of all elements, then all second bytes, and so on, or the inverse of
  /// that if `back`; trailing bytes that are not a whole element stay.
  private func shuffled(_ bytes: [UInt8], back: Bool) -> [UInt8] {
    let whole = bytes.count - bytes.count % type.width
    guard type.width > 1, whole > type.width else { return bytes }
    var out = [UInt8](repeating: 0, count: whole)
    var span = out.mutableSpan
    let from = bytes.span.extracting(..<whole)
    if back {
      Kernels.joinPlanes(from, width: type.width, into: &span)
    } else {
      Kernels.splitPlanes(from, width: type.width, into: &span)
    }
    return whole == bytes.count ? out : out + bytes[whole...]
  }

  private static func removeChecksum(_ bytes: inout [UInt8]) throws(DiffError) {
    guard bytes.count >= 4 else { throw DiffError(.malformed, "a chunk has no checksum") }
    let stored: UInt32 = bytes.littleEndian(at: bytes.count - 4)
    bytes.removeLast(4)
    let sum = Fletcher32.sum(bytes.span)
    // HDF5 1.6.2 and earlier wrote the bytes of each half swapped.
    let swapped = (sum & 0x00FF_00FF) << 8 | (sum & 0xFF00_FF00) >> 8
    guard checksumsMatch(sum, stored) || swapped == stored else {
      throw DiffError(.checksum, "a chunk does not match its checksum")
    }
  }
}
