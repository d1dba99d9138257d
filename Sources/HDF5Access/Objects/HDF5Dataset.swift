import CHDF5
import Checkpoints
import SystemSupport
import TensorCore

/// The open dataset of a tensor, for reading and writing ranges of little-endian bytes.
final class HDF5Dataset {
  private let dataset, memoryType: HDF5Handle
  private let shape: Shape
  private let width: UInt64
  /// The number of bytes of unpacked chunks that are kept.
  let cacheSize: Int
  /// The dataset's only chunk, if it is unpacked without the library.
  private var whole: HDF5WholeChunk?
  /// The same, if it is only read.
  private var streamed: HDF5StreamedChunk?
  private let isLargeChunk: Bool

  /// Opens a tensor's dataset.
  ///
  /// - Throws: `unsupportedCheckpoint` if its chunks cannot be unpacked here.
  init(_ name: TensorName, in file: hid_t) throws(DiffError) {
    let what = "cannot be opened"
    let access = try HDF5Handle(H5Pcreate(dk_H5P_DATASET_ACCESS()), "cannot set up libhdf5")
    let (cache, isOneChunk) = try Self.cache(name, file)
    cacheSize = cache?.bytes ?? 0
    isLargeChunk = isOneChunk && UInt64(cacheSize) > ChunkCodec.maximumByteCount
    if let cache {
      try H5Pset_chunk_cache(access.id, cache.slots, cache.bytes, 1)
        .orThrow("cannot set up libhdf5")
    }
    dataset = try HDF5Handle(unsafe H5Dopen2(file, name.description, access.id), what)
    let stored = try HDF5Handle(H5Dget_type(dataset.id), what)
    let size = try HDF5Library.value(what) { H5Tget_size(stored.id) }
    let space = try HDF5Handle(H5Dget_space(dataset.id), what)
    guard let shape = try StoredTensor.shape(of: space.id), (1...8).contains(size) else {
      throw DiffError(.unsupportedCheckpoint, what)
    }
    self.shape = shape
    width = UInt64(size)
    memoryType = try HDF5ElementType.littleEndian(stored.id)
  }

  /// Returns the cache settings for a dataset's chunks, nil if it is not chunked, and whether it is
  /// a single filtered chunk. They depend on the dataset and must be known before it is opened for
  /// use: for a dataset that is open twice, the library keeps the first cache.
  ///
  /// - Throws: `unsupportedCheckpoint` if its chunks cannot be unpacked here.
  private static func cache(
    _ name: TensorName, _ file: hid_t
  ) throws(DiffError) -> (HDF5ChunkCache?, isOneChunk: Bool) {
    let what = "cannot be opened"
    let dataset = try HDF5Handle(unsafe H5Dopen2(file, name.description, dk_H5P_DEFAULT), what)
    let creation = try HDF5Handle(H5Dget_create_plist(dataset.id), what)
    let layout = try HDF5Library.value(what) { H5Pget_layout(creation.id) }
    // The table contains no such datasets.
    guard layout != H5D_VIRTUAL, H5Pget_external_count(creation.id) == 0 else {
      throw DiffError(.unsupportedCheckpoint, "has its elements in other files")
    }
    let filters = try HDF5Filter.all(of: creation.id)
    for filter in filters { try filter.requireAvailable() }
    let stored = try HDF5Handle(H5Dget_type(dataset.id), what)
    let width = try HDF5Library.value(what) { H5Tget_size(stored.id) }
    let space = try HDF5Handle(H5Dget_space(dataset.id), what)
    guard let shape = try StoredTensor.shape(of: space.id),
      let chunk = try StoredTensor.chunkShape(creation.id, rank: shape.extents.count)
    else { return (nil, false) }
    let cache = HDF5ChunkCache(shape, chunk, UInt64(width), isFiltered: !filters.isEmpty)
    return (cache, !filters.isEmpty && chunk == shape)
  }

  /// Prepares for changes if the tensor is a single large chunk.
  func prepareChanges(_ userBlock: UInt64) throws(DiffError) {
    guard isLargeChunk else { return }
    let described = try StoredTensor.describe(
      dataset.id, "", userBlock: userBlock, takesStandardOutput: false)
    if case .tensor(let tensor) = described { whole = HDF5WholeChunk(tensor) }
  }

  /// Prepares for reading alone, if the tensor is in one large chunk.
  ///
  /// - Parameter bytes: returns the file.
  func prepareReading(
    _ userBlock: UInt64, _ bytes: () throws(DiffError) -> File
  ) throws(DiffError) {
    guard isLargeChunk else { return }
    let described = try StoredTensor.describe(
      dataset.id, "", userBlock: userBlock, takesStandardOutput: false)
    if case .tensor(let tensor) = described {
      streamed = HDF5StreamedChunk(tensor, in: try bytes())
    }
  }

  /// Writes pending changes to the file.
  func store() throws(DiffError) { try whole?.store(in: dataset.id) }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    if let whole {
      try checkRange(at: offset, count: buffer.count)
      return try whole.read(at: offset, into: &buffer, of: dataset.id)
    }
    if let streamed {
      try checkRange(at: offset, count: buffer.count)
      if try streamed.read(at: offset, into: &buffer) { return }
      self.streamed = nil
    }
    for part in try parts(at: offset, count: buffer.count) {
      let selection = try select(part.box)
      let status = unsafe buffer.withUnsafeMutableBufferPointer {
        unsafe H5Dread(
          dataset.id, memoryType.id, selection.memory.id, selection.file.id, dk_H5P_DEFAULT,
          $0.baseAddress.map { unsafe $0 + part.offset })
      }
      try status.orThrow("cannot be read")
    }
  }

  func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(DiffError) {
    if let whole {
      try checkRange(at: offset, count: bytes.count)
      return try whole.write(bytes, at: offset, of: dataset.id)
    }
    for part in try parts(at: offset, count: bytes.count) {
      let selection = try select(part.box)
      let status = unsafe bytes.withUnsafeBufferPointer {
        unsafe H5Dwrite(
          dataset.id, memoryType.id, selection.memory.id, selection.file.id, dk_H5P_DEFAULT,
          $0.baseAddress.map { unsafe $0 + part.offset })
      }
      try status.orThrow("cannot be written")
    }
  }

  /// Replaces a chunk by a packed one.
  func write(_ chunk: PackedChunk) throws(DiffError) {
    let what = "a chunk cannot be written"
    guard chunk.start.count == shape.extents.count else { throw DiffError(.usage, what) }
    try unsafe H5Dwrite_chunk(
      dataset.id, dk_H5P_DEFAULT, chunk.filterMask, chunk.start, chunk.bytes.count, chunk.bytes
    ).orThrow(what)
  }

  /// Returns the boxes of a range of bytes, each with the offset of its bytes in the caller's
  /// buffer.
  private func parts(
    at offset: UInt64, count: Int
  ) throws(DiffError) -> [(box: Hyperslab, offset: Int)] {
    try checkRange(at: offset, count: count)
    let first = offset / width
    var start = 0
    return Hyperslab.covering(first..<first + UInt64(count) / width, of: shape.extents[...]).map {
      box in
      defer { start += Int(box.count.reduce(width, *)) }
      return (box, start)
    }
  }

  private func checkRange(at offset: UInt64, count: Int) throws(DiffError) {
    let size = shape.count * width
    guard offset <= size, UInt64(count) <= size - offset, offset % width == 0,
      UInt64(count) % width == 0
    else { throw DiffError(.usage, "has no such range of bytes") }
  }

  /// Returns the dataspaces of a box: a selection in the file, and all of a buffer in memory.
  private func select(_ box: Hyperslab) throws(DiffError) -> Selection {
    let what = "cannot select a range"
    let file = try HDF5Handle(H5Dget_space(dataset.id), what)
    if !box.start.isEmpty {
      try unsafe H5Sselect_hyperslab(file.id, H5S_SELECT_SET, box.start, nil, box.count, nil)
        .orThrow(what)
    }
    // With the same rank as in the file, so that the library matches the two quickly.
    let memory = try HDF5Handle(
      unsafe H5Screate_simple(Int32(box.count.count), box.count, nil), what)
    return Selection(file: file, memory: memory)
  }
}

private struct Selection: ~Copyable {
  let file, memory: HDF5Handle
}
