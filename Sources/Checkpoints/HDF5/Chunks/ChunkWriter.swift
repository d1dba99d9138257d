import Kernels
import SystemSupport
import TensorCore

/// Writes to chunked tensors of a copy: collects the written bytes by row range, packs the changed
/// chunks on all cores, and leaves the others as they are, byte for byte.
final class ChunkWriter: Sendable {
  private let source: HDF5Checkpoint
  private let output: File
  private let hdf5: HDF5Client
  private let state = Guarded(State())

  private struct State {
    var tensor: StoredTensor?
    /// The rows that were written and not yet packed.
    var pending: [WrittenRows] = []
    /// The indices of the tensor's chunks that have been rewritten.
    var rewritten: Set<UInt64> = []
    /// The names of tensors that were written before this one.
    var finished: Set<TensorName> = []
  }

  /// The maximum number of row ranges that are collected at the same time, since threads write at
  /// different offsets.
  private static let maximumPending = 2

  /// - Parameters:
  ///   - source: the checkpoint that the output is a copy of.
  ///   - hdf5: the client with which the output is open.
  init(_ source: HDF5Checkpoint, _ output: File, _ hdf5: HDF5Client) {
    self.source = source
    self.output = output
    self.hdf5 = hdf5
  }

  /// Collects bytes to be written; returns false if libhdf5 must write them.
  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) -> Bool {
    // A reshaped tensor is not in the source.
    guard case .chunked(let chunks) = tensor.storage, ChunkCodec(tensor) != nil,
      chunks.filtersEdges, source.has(tensor)
    else { return false }
    let grid = ChunkGrid(tensor, chunks)
    guard grid.rowRangesHoldWholeChunks else { return false }
    // A span cannot be captured.
    var copy: [UInt8] = []
    copy.append(copying: bytes)
    return try state.withLock { [copy] state throws(DiffError) in
      if state.tensor != tensor {
        try flush(&state, upTo: .max)
        if let last = state.tensor { state.finished.insert(last.name) }
        (state.tensor, state.rewritten) = (tensor, [])
      }
      guard !state.finished.contains(tensor.name) else { return false }
      var done = 0
      while done < copy.count {
        let start = offset + UInt64(done)
        let layout = grid.rowRange(at: start)
        let count = min(copy.count - done, Int(layout.range.upperBound - start))
        let rows: WrittenRows
        if let found = state.pending.first(where: { $0.layout.range == layout.range }) {
          rows = found
        } else {
          rows = WrittenRows(layout)
          state.pending.append(rows)
        }
        rows.write(copy.span.extracting(done..<done + count), at: start)
        done += count
      }
      while state.pending.count > Self.maximumPending {
        try flush(state.pending.removeFirst(), &state)
      }
      return true
    }
  }

  /// Packs and writes the collected rows before an offset of the current tensor, or all of them.
  func flush(upTo offset: UInt64 = .max) throws(DiffError) {
    try state.withLock { state throws(DiffError) in try flush(&state, upTo: offset) }
  }

  private func flush(_ state: inout State, upTo offset: UInt64) throws(DiffError) {
    while let first = state.pending.firstIndex(where: { $0.layout.range.upperBound <= offset }) {
      try flush(state.pending.remove(at: first), &state)
    }
  }

  private func flush(_ rows: WrittenRows, _ state: inout State) throws(DiffError) {
    guard let tensor = state.tensor, case .chunked(let chunks) = tensor.storage,
      let codec = ChunkCodec(tensor)
    else { return }
    do throws(DiffError) {
      let grid = ChunkGrid(tensor, chunks)
      for chunkRows in rows.changedChunkRows(grid) {
        let indices = grid.chunks(of: rows.layout, touching: chunkRows)
        guard state.rewritten.isDisjoint(with: indices) else {
          try writeByLibrary(rows, chunkRows, tensor)
          continue
        }
        state.rewritten.formUnion(indices)
        let old = try rows.complete(chunkRows, from: source, tensor)
        try pack(
          indices, of: rows, over: old, tensor, chunks: chunks, codec: codec, grid: grid)
      }
    } catch { throw error.at(tensor: tensor.name) }
  }

  /// Packs chunks and writes those that changed, in groups that bound memory: one is written while
  /// the next is packed.
  private func pack(
    _ indices: Range<UInt64>, of rows: WrittenRows, over old: ResidentBytes,
    _ tensor: StoredTensor, chunks: StoredTensor.Chunks, codec: ChunkCodec, grid: ChunkGrid
  ) throws(DiffError) {
    let perGroup = UInt64(max(4 * ProcessorCount.online, (2 << 20) / codec.byteCount))
    var packed: [(index: UInt64, chunk: PackedChunk)] = []
    var next = indices.lowerBound
    while next < indices.upperBound || !packed.isEmpty {
      let group = next..<min(indices.upperBound, next + perGroup)
      let before = packed
      var made = [PackedChunk?](repeating: nil, count: group.count + 1)
      try parallelForEach(&made) { index, made throws(DiffError) in
        guard index > 0 else { return try write(before, to: tensor, chunks, codec) }
        let coordinates = grid.coordinates(of: group.lowerBound + UInt64(index - 1))
        let new = rows.chunk(at: coordinates, of: rows.bytes, grid, codec)
        guard new != rows.chunk(at: coordinates, of: old, grid, codec) else { return }
        made = PackedChunk(
          start: zip(coordinates, grid.sides).map { $0 * $1 }, filterMask: 0,
          bytes: codec.pack(new))
      }
      packed = zip(group, made.dropFirst()).compactMap { index, chunk in
        chunk.map { (index, $0) }
      }
      next = group.upperBound
    }
  }

  private func write(
    _ packed: [(index: UInt64, chunk: PackedChunk)], to tensor: StoredTensor,
    _ chunks: StoredTensor.Chunks, _ codec: ChunkCodec
  ) throws(DiffError) {
    var byLibrary: [PackedChunk] = []
    for (index, chunk) in packed {
      if !codec.isFiltered, let stored = chunks.stored(index..<index + 1).first {
        // The library may cache bytes around its objects, and must not write them over these.
        try hdf5.close()
        try output.write(chunk.bytes.span, at: chunks.chunks[stored].offset)
      } else {
        byLibrary.append(chunk)
      }
    }
    if !byLibrary.isEmpty { try hdf5.write(byLibrary, to: tensor) }
  }

  /// Writes to chunks that have been rewritten before, whose current contents only the library can
  /// read.
  private func writeByLibrary(
    _ rows: WrittenRows, _ chunkRows: Range<UInt64>, _ tensor: StoredTensor
  ) throws(DiffError) {
    for range in rows.written where range.overlaps(chunkRows) {
      let part = range.clamped(to: chunkRows)
      let first = Int(part.lowerBound - rows.layout.range.lowerBound)
      let bytes = rows.bytes
      try hdf5.write(
        bytes.span.extracting(first..<first + part.count), to: tensor, at: part.lowerBound)
    }
  }
}

/// The new bytes of a row range. Used by one thread at a time.
private final class WrittenRows: @unchecked Sendable {
  let layout: ChunkGrid.RowRange
  let bytes: ResidentBytes
  /// The written ranges of the tensor's bytes, ascending and separate.
  private(set) var written: [Range<UInt64>] = []

  init(_ layout: ChunkGrid.RowRange) {
    self.layout = layout
    bytes = ResidentBytes(count: layout.range.count)
  }

  func write(_ part: Span<UInt8>, at offset: UInt64) {
    let start = Int(offset - layout.range.lowerBound)
    bytes.change(at: start, count: part.count) { $0.copy(part) }
    var range = offset..<offset + UInt64(part.count)
    let touching = written.indices.filter {
      written[$0].lowerBound <= range.upperBound && range.lowerBound <= written[$0].upperBound
    }
    for index in touching {
      let other = written[index]
      range =
        min(range.lowerBound, other.lowerBound)..<max(range.upperBound, other.upperBound)
    }
    let first = touching.first ?? written.firstIndex { $0.lowerBound > offset } ?? written.count
    written.replaceSubrange(first..<first + touching.count, with: [range])
  }

  /// Returns the byte ranges of the chunk rows that were written to, adjacent ones joined.
  func changedChunkRows(_ grid: ChunkGrid) -> [Range<UInt64>] {
    var changed: [Range<UInt64>] = []
    for range in written {
      let chunkRows = grid.bytes(of: layout, inChunkRowsOf: range)
      if let last = changed.last, last.upperBound >= chunkRows.lowerBound {
        changed[changed.count - 1] = last.lowerBound..<max(last.upperBound, chunkRows.upperBound)
      } else {
        changed.append(chunkRows)
      }
    }
    return changed
  }

  /// Copies the source's bytes into the unwritten parts of a range; returns a buffer of the same
  /// size with all of the source's bytes in the range.
  func complete(
    _ range: Range<UInt64>, from source: HDF5Checkpoint, _ tensor: StoredTensor
  ) throws(DiffError) -> ResidentBytes {
    let old = ResidentBytes(count: bytes.count)
    let start = Int(range.lowerBound - layout.range.lowerBound)
    try old.change(at: start, count: range.count) { buffer throws(DiffError) in
      try source.read(tensor, at: range.lowerBound, into: &buffer)
    }
    var next = range.lowerBound
    for part in written where part.upperBound > next && next < range.upperBound {
      if part.lowerBound > next { copy(next..<min(part.lowerBound, range.upperBound), from: old) }
      next = part.upperBound
    }
    if next < range.upperBound { copy(next..<range.upperBound, from: old) }
    return old
  }

  private func copy(_ range: Range<UInt64>, from old: ResidentBytes) {
    guard !range.isEmpty else { return }
    let start = Int(range.lowerBound - layout.range.lowerBound)
    bytes.change(at: start, count: range.count) {
      $0.copy(old.span.extracting(start..<start + range.count))
    }
  }

  /// Returns the elements of a chunk; those beyond the tensor have the fill value.
  func chunk(
    at coordinates: [UInt64], of bytes: ResidentBytes, _ grid: ChunkGrid, _ codec: ChunkCodec
  ) -> [UInt8] {
    var chunk = codec.missing()
    var span = chunk.mutableSpan
    grid.forEachRun(of: coordinates, in: layout) { count, length, inChunk, inRows in
      Kernels.copyRows(count, length: length, from: bytes.span, inRows, to: &span, inChunk)
    }
    return chunk
  }
}
