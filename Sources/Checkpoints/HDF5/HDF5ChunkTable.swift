import CHDF5
import TensorCore

/// The stored chunks of a dataset.
enum HDF5ChunkTable {
  /// Before HDF5 1.14 every look-up passes over all chunks, so that a table costs O(n²): at this
  /// many about 40 ms.
  private static let maximumCount: UInt64 = 1024

  /// What must be added to the library's addresses of chunks.
  static func addend(_ userBlock: UInt64) -> UInt64 {
    dk_chunk_addresses_count_user_block() ? 0 : userBlock
  }

  /// The chunks in row-major order of their place, or nil if they are too many.
  static func chunks(
    of dataset: hid_t, _ space: hid_t, _ shape: Shape, _ chunk: Shape, addend: UInt64,
    fileSize: UInt64
  ) throws(DiffError) -> [StoredTensor.Chunk]? {
    let what = "cannot look up the chunks"
    var count: hsize_t = 0
    try unsafe H5Dget_num_chunks(dataset, space, &count).orThrow(what)
    guard count <= maximumCount else { return nil }
    var chunks: [StoredTensor.Chunk] = []
    var place = [hsize_t](repeating: 0, count: shape.extents.count)
    for number in 0..<count {
      var filterMask: UInt32 = 0
      var address: haddr_t = 0
      var size: hsize_t = 0
      try unsafe H5Dget_chunk_info(
        dataset, space, number, &place, &filterMask, &address, &size
      ).orThrow(what)
      let (offset, overflow) = UInt64(address).addingReportingOverflow(addend)
      guard !overflow, offset <= fileSize, size <= fileSize - offset,
        let index = index(of: place, shape, chunk)
      else { throw DiffError(.malformed, "a chunk lies outside", offset: UInt64(address)) }
      chunks.append(
        StoredTensor.Chunk(index: index, offset: offset, size: size, filterMask: filterMask))
    }
    return chunks.sorted { $0.index < $1.index }
  }

  /// The row-major index of the chunk that begins at the element `place`.
  private static func index(of place: [hsize_t], _ shape: Shape, _ chunk: Shape) -> UInt64? {
    var index: UInt64 = 0
    for (at, (extent, side)) in zip(place, zip(shape.extents, chunk.extents)) {
      guard at < extent else { return nil }
      // Below the number of elements, so no overflow.
      index = index * ((extent - 1) / side + 1) + at / side
    }
    return index
  }
}
