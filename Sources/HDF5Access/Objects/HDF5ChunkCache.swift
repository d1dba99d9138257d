import TensorCore

/// How many unpacked chunks of a dataset the library keeps, so that reading on from block to
/// block does not unpack each of them again and again.
struct HDF5ChunkCache {
  var bytes, slots: Int

  private static let maximumBytes: UInt64 = 16 << 20

  init(_ shape: Shape, _ chunk: Shape, _ width: UInt64, isFiltered: Bool) {
    let bytes = chunk.count.multipliedReportingOverflow(by: width)
    let size = bytes.overflow ? Self.maximumBytes : bytes.partialValue
    // A band is all the chunks that one row of the tensor runs through.
    let most = max(1, Self.maximumBytes / max(1, size))
    var band: UInt64 = 1
    for (extent, side) in zip(shape.extents, chunk.extents).dropFirst() where extent > 0 {
      band = min(most, band.multipliedReportingOverflow(by: (extent - 1) / side + 1).partialValue)
    }
    // Filtered chunks are unpacked whole in any case, so keep at least one, whatever its size.
    let kept = isFiltered ? size * band : min(size * band, Self.maximumBytes)
    self.bytes = Int(clamping: kept)
    slots = Int(band) * 10 + 1
  }
}
