import Kernels
import SystemSupport
import TensorCore

/// Reads chunked tensors of a file without libhdf5. Threads that read at the same time share the
/// unpacking; the most recently unpacked rows are kept, so that sequential reads unpack each chunk
/// once.
///
/// Uses memory for two row ranges, and a few chunks for each thread, regardless of tensor sizes.
final class ChunkReader: Sendable {
  private let file: File
  /// The most recently used rows, the latest at the end.
  private let kept = Guarded<[UnpackedRows]>([])
  /// Held while a large chunk is unpacked, which takes several times its size in memory.
  private let large = Guarded(())

  private static let keptCount = 2
  private static let largeSize = 4 << 20

  init(_ file: File) { self.file = file }

  /// Fills `buffer` with little-endian bytes of a tensor.
  func read(
    _ tensor: StoredTensor, _ codec: ChunkCodec, at offset: UInt64,
    into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard case .chunked(let chunks) = tensor.storage else { return }
    let grid = ChunkGrid(tensor, chunks)
    var done = 0
    while done < buffer.count {
      let start = offset + UInt64(done)
      let layout = grid.rowRange(at: start)
      let count = min(buffer.count - done, Int(layout.range.upperBound - start))
      let rows = rows(of: tensor.name, layout, chunks, codec)
      let touched = chunks.stored(
        grid.chunks(of: layout, touching: start..<start + UInt64(count)))
      let first = rows.stored.lowerBound
      try rows.tasks.finish(
        touched.lowerBound - first..<touched.upperBound - first
      ) { index throws(DiffError) in
        let chunk = chunks.chunks[first + index]
        let coordinates = grid.coordinates(of: chunk.index)
        let mask = chunks.filtersEdges || !grid.isCut(coordinates) ? chunk.filterMask : .max
        let unpacked = try unpacked(chunk, codec, mask)
        rows.bytes.change(at: 0, count: rows.bytes.count) { bytes in
          grid.forEachRun(of: coordinates, in: layout) { count, length, inChunk, inRows in
            Kernels.copyRows(
              count, length: length, from: unpacked.span, inChunk, to: &bytes, inRows)
          }
        }
      }
      let bytes = rows.bytes
      Kernels.copyRows(
        1, length: count, from: bytes.span,
        Kernels.Rows(
          start: Int(start - layout.range.lowerBound), stride: 0),
        to: &buffer, Kernels.Rows(start: done, stride: 0))
      done += count
    }
  }

  private func unpacked(
    _ chunk: StoredTensor.Chunk, _ codec: ChunkCodec, _ filterMask: UInt32
  ) throws(DiffError) -> [UInt8] {
    guard codec.byteCount > Self.largeSize else { return try unpack(chunk, codec, filterMask) }
    return try large.withLock { (_) throws(DiffError) in try unpack(chunk, codec, filterMask) }
  }

  private func unpack(
    _ chunk: StoredTensor.Chunk, _ codec: ChunkCodec, _ filterMask: UInt32
  ) throws(DiffError) -> [UInt8] {
    // The filters can only enlarge a chunk slightly.
    guard chunk.size <= UInt64(2 * codec.byteCount + 1024) else {
      throw DiffError(
        .malformed, "a stored chunk is larger than its elements", path: file.path,
        offset: chunk.offset)
    }
    let stored = try file.bytes(at: chunk.offset, count: Int(chunk.size))
    do { return try codec.unpack(stored, filterMask: filterMask) } catch {
      throw error.at(path: file.path, offset: chunk.offset)
    }
  }

  private func rows(
    of name: TensorName, _ layout: ChunkGrid.RowRange, _ chunks: StoredTensor.Chunks,
    _ codec: ChunkCodec
  ) -> UnpackedRows {
    kept.withLock { kept in
      let found = kept.firstIndex { $0.start == layout.range.lowerBound && $0.name == name }
      let rows =
        found.map { kept.remove(at: $0) }
        ?? UnpackedRows(of: name, layout, chunks: chunks, codec: codec)
      kept.append(rows)
      if kept.count > Self.keptCount { kept.removeFirst() }
      return rows
    }
  }

  /// The unpacked bytes of a row range, complete for the chunks whose tasks are done; elements that
  /// are not stored have the fill value from the start.
  private final class UnpackedRows: Sendable {
    let name: TensorName
    let start: UInt64
    let bytes: ResidentBytes
    /// The range of its chunks in the tensor's list.
    let stored: Range<Int>
    let tasks: SharedTasks

    init(
      of name: TensorName, _ layout: ChunkGrid.RowRange, chunks: StoredTensor.Chunks,
      codec: ChunkCodec
    ) {
      self.name = name
      start = layout.range.lowerBound
      bytes = ResidentBytes(count: layout.range.count)
      bytes.change(at: 0, count: bytes.count) { codec.fill(&$0) }
      stored = chunks.stored(layout.chunks)
      tasks = SharedTasks(count: stored.count)
    }
  }
}
