import Kernels
import SystemSupport
import TensorCore

/// Reads chunked tensors of a file without libhdf5. Threads that read at the same time share the
/// work of unpacking; what was unpacked last is kept, so that reading on from block to block
/// unpacks each chunk once.
///
/// Memory is two strips and a few chunks for each thread, whatever the sizes of tensors.
final class ChunkReader: Sendable {
  private let file: File
  /// The strips used last, the latest at the end.
  private let kept = Guarded<[Strip]>([])
  /// Held while a large chunk is unpacked, which takes several times its size.
  private let large = Guarded(())

  private static let keptStrips = 2
  private static let largeSize = 4 << 20

  init(_ file: File) { self.file = file }

  /// Fills `buffer` with little-endian bytes of a tensor that has a codec.
  func read(
    _ tensor: StoredTensor, _ codec: ChunkCodec, at offset: UInt64,
    into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard case .chunked(let chunks) = tensor.storage else { return }
    let grid = ChunkGrid(tensor, chunks)
    var done = 0
    while done < buffer.count {
      let start = offset + UInt64(done)
      let layout = grid.strip(at: start)
      let count = min(buffer.count - done, Int(layout.range.upperBound - start))
      let strip = strip(of: tensor.name, layout, chunks, codec)
      let touched = chunks.stored(
        grid.chunks(of: layout, touching: start..<start + UInt64(count)))
      let first = strip.stored.lowerBound
      try strip.work.finish(
        touched.lowerBound - first..<touched.upperBound - first
      ) { piece throws(DiffError) in
        let chunk = chunks.chunks[first + piece]
        let place = grid.place(of: chunk.index)
        let mask = chunks.filtersEdges || !grid.isCut(place) ? chunk.filterMask : .max
        let unpacked = try unpacked(chunk, codec, mask)
        strip.bytes.change(at: 0, count: strip.bytes.count) { bytes in
          grid.forEachRun(of: place, in: layout) { count, length, inChunk, inStrip in
            Kernels.copyRows(
              count, length: length, from: unpacked.span, inChunk, to: &bytes, inStrip)
          }
        }
      }
      let bytes = strip.bytes
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
    // Filters that only may make smaller cannot need much more than the elements.
    guard chunk.size <= UInt64(2 * codec.byteCount + 1024) else {
      throw DiffError(
        .malformed, "a chunk takes more than its elements", path: file.path, offset: chunk.offset)
    }
    let stored = try file.bytes(at: chunk.offset, count: Int(chunk.size))
    do { return try codec.unpack(stored, filterMask: filterMask) } catch {
      throw error.at(path: file.path, offset: chunk.offset)
    }
  }

  private func strip(
    of name: TensorName, _ layout: ChunkGrid.Strip, _ chunks: StoredTensor.Chunks,
    _ codec: ChunkCodec
  ) -> Strip {
    kept.withLock { kept in
      let found = kept.firstIndex { $0.start == layout.range.lowerBound && $0.name == name }
      let strip =
        found.map { kept.remove(at: $0) } ?? Strip(of: name, layout, chunks: chunks, codec: codec)
      kept.append(strip)
      if kept.count > Self.keptStrips { kept.removeFirst() }
      return strip
    }
  }

  /// The unpacked bytes of a strip, as far as its work is done; what is not stored is there from
  /// the beginning.
  private final class Strip: Sendable {
    let name: TensorName
    let start: UInt64
    let bytes: ResidentBytes
    /// Its chunks, as places in the tensor's list.
    let stored: Range<Int>
    let work: SharedWork

    init(
      of name: TensorName, _ layout: ChunkGrid.Strip, chunks: StoredTensor.Chunks,
      codec: ChunkCodec
    ) {
      self.name = name
      start = layout.range.lowerBound
      bytes = ResidentBytes(count: layout.range.count)
      bytes.change(at: 0, count: bytes.count) { codec.fill(&$0) }
      stored = chunks.stored(layout.chunks)
      work = SharedWork(count: stored.count)
    }
  }
}
