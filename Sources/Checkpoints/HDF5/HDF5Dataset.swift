import CHDF5
import TensorCore

/// A tensor's dataset, kept open for reading and writing by ranges of little-endian bytes.
final class HDF5Dataset {
  private let dataset, memoryType: HDF5Handle
  private let shape: Shape
  private let width: UInt64

  /// Opens a tensor's dataset.
  ///
  /// - Throws: `unsupportedCheckpoint` if its chunks cannot be unpacked here.
  init(_ tensor: StoredTensor, in file: hid_t) throws(DiffError) {
    let access = try HDF5Handle(H5Pcreate(dk_H5P_DATASET_ACCESS()), "cannot set up libhdf5")
    if case .chunked(let chunks) = tensor.storage {
      let cache = ChunkCache(tensor, chunks)
      try H5Pset_chunk_cache(access.id, cache.slots, cache.bytes, 1)
        .orThrow("cannot set up libhdf5")
    }
    let what = "cannot be opened"
    dataset = try HDF5Handle(unsafe H5Dopen2(file, tensor.name, access.id), what)
    let creation = try HDF5Handle(H5Dget_create_plist(dataset.id), what)
    for filter in try HDF5Filter.all(of: creation.id) { try filter.requireAvailable() }
    let stored = try HDF5Handle(H5Dget_type(dataset.id), what)
    memoryType = try HDF5ElementType.littleEndian(stored.id)
    shape = tensor.shape
    width = UInt64(tensor.type.width)
  }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    for part in parts(at: offset, count: buffer.count) {
      let selection = try select(part.box)
      let status = unsafe buffer.withUnsafeMutableBufferPointer {
        unsafe H5Dread(
          dataset.id, memoryType.id, selection.memory.id, selection.file.id, dk_H5P_DEFAULT,
          $0.baseAddress.map { unsafe $0 + part.position })
      }
      try status.orThrow("cannot be read")
    }
  }

  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(DiffError) {
    for part in parts(at: offset, count: bytes.count) {
      let selection = try select(part.box)
      let status = unsafe bytes.withUnsafeBufferPointer {
        unsafe H5Dwrite(
          dataset.id, memoryType.id, selection.memory.id, selection.file.id, dk_H5P_DEFAULT,
          $0.baseAddress.map { unsafe $0 + part.position })
      }
      try status.orThrow("cannot be written")
    }
  }

  /// The boxes of a range of bytes, each with the place of its bytes in the caller's buffer.
  private func parts(at offset: UInt64, count: Int) -> [(box: Hyperslab, position: Int)] {
    let first = offset / width
    var position = 0
    return Hyperslab.covering(first..<first + UInt64(count) / width, of: shape.extents[...]).map {
      box in
      defer { position += Int(box.count.reduce(width, *)) }
      return (box, position)
    }
  }

  /// The dataspaces of a box: in the file, and in memory, where there is nothing else.
  private func select(_ box: Hyperslab) throws(DiffError) -> Selection {
    let what = "cannot select a part"
    let file = try HDF5Handle(H5Dget_space(dataset.id), what)
    if !box.start.isEmpty {
      try unsafe H5Sselect_hyperslab(file.id, H5S_SELECT_SET, box.start, nil, box.count, nil)
        .orThrow(what)
    }
    // Of the same rank as in the file, which lets the library match the two quickly.
    let memory = try HDF5Handle(
      unsafe H5Screate_simple(Int32(box.count.count), box.count, nil), what)
    return Selection(file: file, memory: memory)
  }
}

private struct Selection: ~Copyable {
  let file, memory: HDF5Handle
}

/// How many unpacked chunks of a dataset the library keeps, so that reading on from block to
/// block does not unpack each of them again and again.
private struct ChunkCache {
  var bytes, slots: Int

  private static let maximumBytes: UInt64 = 16 << 20

  init(_ tensor: StoredTensor, _ chunks: StoredTensor.Chunks) {
    let chunk = chunks.shape.count.multipliedReportingOverflow(by: UInt64(tensor.type.width))
    let size = chunk.overflow ? ChunkCache.maximumBytes : chunk.partialValue
    // A band is all the chunks that one row of the tensor runs through.
    let most = max(1, ChunkCache.maximumBytes / max(1, size))
    var band: UInt64 = 1
    for (extent, side) in zip(tensor.shape.extents, chunks.shape.extents).dropFirst() {
      band = min(most, band.multipliedReportingOverflow(by: (extent - 1) / side + 1).partialValue)
    }
    // Filtered chunks are unpacked whole in any case, so keep at least one, whatever its size.
    let kept = chunks.filters.isEmpty ? min(size * band, ChunkCache.maximumBytes) : size * band
    bytes = Int(clamping: kept)
    slots = Int(band) * 10 + 1
  }
}
