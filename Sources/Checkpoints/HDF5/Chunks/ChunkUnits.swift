import Kernels

/// The layout of a tensor in unfiltered chunks.
struct ChunkUnits: WriteUnits {
  let grid: ChunkGrid
  let chunks: StoredTensor.Chunks

  /// Nil if chunks are filtered or missing: then a change of an element would move others, or need
  /// new space.
  init?(_ tensor: StoredTensor, _ chunks: StoredTensor.Chunks) {
    guard let codec = ChunkCodec(tensor), !codec.isFiltered, tensor.byteCount > 0 else {
      return nil
    }
    grid = ChunkGrid(tensor, chunks)
    self.chunks = chunks
    guard UInt64(chunks.chunks.count) == grid.counts.reduce(1, *) else { return nil }
  }

  func units(of range: Range<UInt64>) -> [WriteUnit] {
    var units: [WriteUnit] = []
    var next = range.lowerBound
    while next < range.upperBound {
      let rowRange = grid.rowRange(at: next)
      let part = next..<min(range.upperBound, rowRange.range.upperBound)
      for chunk in chunks.chunks[chunks.stored(grid.chunks(of: rowRange, touching: part))] {
        appendRows(of: chunk, rowRange, part, from: Int(next - range.lowerBound), to: &units)
      }
      next = part.upperBound
    }
    return units
  }

  /// Appends the rows of a chunk that are in a part of a row range, and no other bytes, which
  /// another thread may be changing. Adjacent rows are one unit.
  private func appendRows(
    of chunk: StoredTensor.Chunk, _ rowRange: ChunkGrid.RowRange, _ part: Range<UInt64>,
    from start: Int, to units: inout [WriteUnit]
  ) {
    let first = Int(part.lowerBound - rowRange.range.lowerBound)
    let wanted = first..<first + part.count
    var end: UInt64?
    let coordinates = grid.coordinates(of: chunk.index)
    grid.forEachRun(of: coordinates, in: rowRange) { count, length, inside, outside in
      for row in 0..<count {
        let here = outside.start + row * outside.stride
        let shared = (here..<here + length).clamped(to: wanted)
        guard !shared.isEmpty else { continue }
        let offset =
          chunk.offset + UInt64(inside.start + row * inside.stride + shared.lowerBound - here)
        let bytes = start + shared.lowerBound - wanted.lowerBound
        if end != offset { units.append(WriteUnit(offset: offset, parts: [])) }
        units[units.count - 1].parts.append(bytes..<bytes + shared.count)
        end = offset + UInt64(shared.count)
      }
    }
  }
}
