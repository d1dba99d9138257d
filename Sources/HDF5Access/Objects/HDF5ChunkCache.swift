import TensorCore

/// The size of the library's cache of unpacked chunks of a dataset, chosen so that sequential reads
/// unpack each chunk once.
struct HDF5ChunkCache {
  var bytes, slots: Int

  private static let maximumBytes: UInt64 = 16 << 20

  init(_ shape: Shape, _ chunk: Shape, _ width: UInt64, isFiltered: Bool) {
    let bytes = chunk.count.multipliedReportingOverflow(by: width)
    let size = bytes.overflow ? Self.maximumBytes : bytes.partialValue
    // The number of chunks that one row of the tensor overlaps.
    let most = max(1, Self.maximumBytes / max(1, size))
    var count: UInt64 = 1
    for (extent, side) in zip(shape.extents, chunk.extents).dropFirst() where extent > 0 {
      count = min(most, count.multipliedReportingOverflow(by: (extent - 1) / side + 1).partialValue)
    }
    // Filtered chunks are unpacked whole in any case, so keep at least one of any size.
    let kept = isFiltered ? size * count : min(size * count, Self.maximumBytes)
    self.bytes = Int(clamping: kept)
    slots = Int(count) * 10 + 1
  }
}
