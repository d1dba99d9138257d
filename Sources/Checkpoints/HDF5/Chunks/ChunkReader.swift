import Synchronization
import TensorCore

/// Reads chunked tensors of a file without libhdf5. Threads that read at the same time share the
/// work of unpacking; what was unpacked last is kept, so that reading on from block to block
/// unpacks each chunk once.
///
/// Memory is two strips and a few chunks for each thread, whatever the sizes of tensors.
final class ChunkReader: Sendable {
  private let file: File
  /// The strips used last, the latest at the end.
  private let kept = Mutex<[Strip]>([])
  /// Held while a large chunk is unpacked, which takes several times its size.
  private let large = Mutex<Void>(())

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
    let name = Array(tensor.name.utf8)
    var done = 0
    while done < buffer.count {
      let start = offset + UInt64(done)
      let layout = grid.strip(at: start)
      let count = min(buffer.count - done, Int(layout.range.upperBound - start))
      let strip = strip(of: name, layout)
      try strip.work.finish(
        grid.pieces(of: layout, touching: start..<start + UInt64(count))
      ) { piece throws(DiffError) in
        let place = grid.place(of: piece, in: layout)
        guard let chunk = try unpacked(chunks, codec, grid, place) else { return }
        strip.bytes.change(at: 0, count: strip.bytes.count) { bytes in
          grid.forEachRun(of: place, in: layout) { count, length, inChunk, inStrip in
            Kernels.copyRows(count, length: length, from: chunk.span, inChunk, to: &bytes, inStrip)
          }
        }
      }
      let first = Int(start - layout.range.lowerBound)
      let bytes = strip.bytes
      Kernels.copyRows(
        1, length: count, from: bytes.span, Kernels.Rows(start: first, stride: 0),
        to: &buffer, Kernels.Rows(start: done, stride: 0))
      done += count
    }
  }

  /// The elements of a chunk, or nil if they are zeros.
  private func unpacked(
    _ chunks: StoredTensor.Chunks, _ codec: ChunkCodec, _ grid: ChunkGrid, _ place: [UInt64]
  ) throws(DiffError) -> [UInt8]? {
    guard let chunk = chunks.chunk(at: grid.index(of: place)) else {
      return codec.isZeroFilled ? nil : codec.missing()
    }
    let mask = chunks.filtersEdges || !grid.isCut(place) ? chunk.filterMask : .max
    guard codec.byteCount > Self.largeSize else { return try unpack(chunk, codec, mask) }
    return try large.withLock { (_) throws(DiffError) in try unpack(chunk, codec, mask) }
  }

  private func unpack(
    _ chunk: StoredTensor.Chunk, _ codec: ChunkCodec, _ filterMask: UInt32
  ) throws(DiffError) -> [UInt8] {
    // Filters that only may make smaller cannot need much more than the elements.
    guard chunk.size <= UInt64(2 * codec.byteCount + 1024) else {
      throw DiffError(.malformed, "a chunk takes more than its elements", offset: chunk.offset)
    }
    var stored = [UInt8](repeating: 0, count: Int(chunk.size))
    var span = stored.mutableSpan
    try file.read(at: chunk.offset, into: &span)
    do { return try codec.unpack(stored, filterMask: filterMask) } catch {
      throw error.at(offset: chunk.offset)
    }
  }

  private func strip(of name: [UInt8], _ layout: ChunkGrid.Strip) -> Strip {
    kept.withLock { kept in
      let found = kept.firstIndex { $0.start == layout.range.lowerBound && $0.name == name }
      let strip = found.map { kept.remove(at: $0) } ?? Strip(name, layout)
      kept.append(strip)
      if kept.count > Self.keptStrips { kept.removeFirst() }
      return strip
    }
  }

  /// The unpacked bytes of a strip, as far as its work is done.
  private final class Strip: Sendable {
    let name: [UInt8]
    let start: UInt64
    let bytes: ResidentBytes
    let work: SharedWork

    init(_ name: [UInt8], _ layout: ChunkGrid.Strip) {
      self.name = name
      start = layout.range.lowerBound
      bytes = ResidentBytes(count: layout.range.count)
      work = SharedWork(count: layout.pieces)
    }
  }
}

extension StoredTensor.Chunks {
  /// The stored chunk of a number, or nil. O(log n).
  func chunk(at index: UInt64) -> StoredTensor.Chunk? {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].index < index { low = middle + 1 } else { high = middle }
    }
    return low < chunks.count && chunks[low].index == index ? chunks[low] : nil
  }
}
