import Kernels
import SystemSupport
import TensorCore

/// Writes to chunked tensors of a copy: gathers what is written strip by strip, packs the chunks
/// that came out different on all cores, and leaves the others as they are, byte for byte.
final class ChunkWriter: Sendable {
  private let source: HDF5Checkpoint
  private let output: File
  private let hdf5: HDF5Client
  private let state = Guarded(State())

  private struct State {
    var tensor: StoredTensor?
    /// What was written and not packed yet.
    var strips: [Strip] = []
    /// Chunks of the tensor that are not the source's any more.
    var rewritten: Set<UInt64> = []
    /// Names of tensors that were written before this one.
    var finished: Set<TensorName> = []
  }

  /// Strips that are gathered at the same time: threads may be ahead of each other.
  private static let maximumStrips = 2

  /// - Parameters:
  ///   - source: what the output began as a copy of.
  ///   - hdf5: libhdf5, which the output is open in.
  init(_ source: HDF5Checkpoint, _ output: File, _ hdf5: HDF5Client) {
    self.source = source
    self.output = output
    self.hdf5 = hdf5
  }

  /// Takes bytes to be written; false if they must be written by libhdf5 instead.
  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) -> Bool {
    // What was given another shape is no tensor of the source.
    guard case .chunked(let chunks) = tensor.storage, ChunkCodec(tensor) != nil,
      chunks.filtersEdges, source.has(tensor)
    else { return false }
    let grid = ChunkGrid(tensor, chunks)
    guard grid.stripsHoldWholeChunks else { return false }
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
        let layout = grid.strip(at: start)
        let count = min(copy.count - done, Int(layout.range.upperBound - start))
        let strip: Strip
        if let found = state.strips.first(where: { $0.layout.range == layout.range }) {
          strip = found
        } else {
          strip = Strip(layout)
          state.strips.append(strip)
        }
        strip.write(copy.span.extracting(done..<done + count), at: start)
        done += count
      }
      while state.strips.count > Self.maximumStrips {
        try flush(state.strips.removeFirst(), &state)
      }
      return true
    }
  }

  /// Packs what lies before an offset of the tensor that is being written, or everything.
  func flush(upTo offset: UInt64 = .max) throws(DiffError) {
    try state.withLock { state throws(DiffError) in try flush(&state, upTo: offset) }
  }

  private func flush(_ state: inout State, upTo offset: UInt64) throws(DiffError) {
    while let first = state.strips.firstIndex(where: { $0.layout.range.upperBound <= offset }) {
      try flush(state.strips.remove(at: first), &state)
    }
  }

  private func flush(_ strip: Strip, _ state: inout State) throws(DiffError) {
    guard let tensor = state.tensor, case .chunked(let chunks) = tensor.storage,
      let codec = ChunkCodec(tensor)
    else { return }
    do throws(DiffError) {
      let grid = ChunkGrid(tensor, chunks)
      for band in strip.bands(grid) {
        let numbers = grid.chunks(of: strip.layout, touching: band)
        guard state.rewritten.isDisjoint(with: numbers) else {
          try writeByLibrary(strip, band, tensor)
          continue
        }
        state.rewritten.formUnion(numbers)
        let old = try strip.complete(band, from: source, tensor)
        try pack(
          numbers, of: strip, over: old, tensor, chunks: chunks, codec: codec, grid: grid)
      }
    } catch { throw error.at(tensor: tensor.name) }
  }

  /// Packs chunks and writes those that are not the old ones, in batches that bound memory: one is
  /// written while the next is packed.
  private func pack(
    _ numbers: Range<UInt64>, of strip: Strip, over old: ResidentBytes, _ tensor: StoredTensor,
    chunks: StoredTensor.Chunks, codec: ChunkCodec, grid: ChunkGrid
  ) throws(DiffError) {
    let perBatch = UInt64(max(4 * ProcessorCount.online, (2 << 20) / codec.byteCount))
    var packed: [(number: UInt64, chunk: PackedChunk)] = []
    var next = numbers.lowerBound
    while next < numbers.upperBound || !packed.isEmpty {
      let batch = next..<min(numbers.upperBound, next + perBatch)
      let before = packed
      var made = [PackedChunk?](repeating: nil, count: batch.count + 1)
      try parallelForEach(&made) { index, made throws(DiffError) in
        guard index > 0 else { return try write(before, to: tensor, chunks, codec) }
        let place = grid.place(of: batch.lowerBound + UInt64(index - 1))
        let new = strip.chunk(at: place, of: strip.bytes, grid, codec)
        guard new != strip.chunk(at: place, of: old, grid, codec) else { return }
        made = PackedChunk(
          place: zip(place, grid.sides).map { $0 * $1 }, filterMask: 0,
          bytes: codec.pack(new))
      }
      packed = zip(batch, made.dropFirst()).compactMap { number, chunk in
        chunk.map { (number, $0) }
      }
      next = batch.upperBound
    }
  }

  private func write(
    _ packed: [(number: UInt64, chunk: PackedChunk)], to tensor: StoredTensor,
    _ chunks: StoredTensor.Chunks, _ codec: ChunkCodec
  ) throws(DiffError) {
    var byLibrary: [PackedChunk] = []
    for (number, chunk) in packed {
      if !codec.isFiltered, let place = chunks.stored(number..<number + 1).first {
        // The library may hold bytes around its objects, and must not write them over these.
        try hdf5.close()
        try output.write(chunk.bytes.span, at: chunks.chunks[place].offset)
      } else {
        byLibrary.append(chunk)
      }
    }
    if !byLibrary.isEmpty { try hdf5.write(byLibrary, to: tensor) }
  }

  /// For chunks that were written before: what they hold now, the library knows.
  private func writeByLibrary(
    _ strip: Strip, _ band: Range<UInt64>, _ tensor: StoredTensor
  ) throws(DiffError) {
    for range in strip.written where range.overlaps(band) {
      let part = range.clamped(to: band)
      let first = Int(part.lowerBound - strip.layout.range.lowerBound)
      let bytes = strip.bytes
      try hdf5.write(
        bytes.span.extracting(first..<first + part.count), to: tensor, at: part.lowerBound)
    }
  }
}

/// New bytes of a strip. Touched by one thread at a time.
private final class Strip: @unchecked Sendable {
  let layout: ChunkGrid.Strip
  let bytes: ResidentBytes
  /// What was written: ranges of the tensor's bytes, ascending, apart from each other.
  private(set) var written: [Range<UInt64>] = []

  init(_ layout: ChunkGrid.Strip) {
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
    let place = touching.first ?? written.firstIndex { $0.lowerBound > offset } ?? written.count
    written.replaceSubrange(place..<place + touching.count, with: [range])
  }

  /// The bytes of the bands of chunks that something was written to, as few ranges.
  func bands(_ grid: ChunkGrid) -> [Range<UInt64>] {
    var bands: [Range<UInt64>] = []
    for range in written {
      let band = grid.bytes(of: layout, inBandsOf: range)
      if let last = bands.last, last.upperBound >= band.lowerBound {
        bands[bands.count - 1] = last.lowerBound..<max(last.upperBound, band.upperBound)
      } else {
        bands.append(band)
      }
    }
    return bands
  }

  /// Puts the source's bytes where nothing was written in a range; returns a strip with all of its
  /// bytes there.
  func complete(
    _ range: Range<UInt64>, from source: HDF5Checkpoint, _ tensor: StoredTensor
  ) throws(DiffError) -> ResidentBytes {
    let old = ResidentBytes(count: bytes.count)
    let start = Int(range.lowerBound - layout.range.lowerBound)
    try old.change(at: start, count: range.count) { room throws(DiffError) in
      try source.read(tensor, at: range.lowerBound, into: &room)
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

  /// The elements of the chunk at a place, those beyond the tensor's edge as if they were missing.
  func chunk(
    at place: [UInt64], of bytes: ResidentBytes, _ grid: ChunkGrid, _ codec: ChunkCodec
  ) -> [UInt8] {
    var chunk = codec.missing()
    var span = chunk.mutableSpan
    grid.forEachRun(of: place, in: layout) { count, length, inChunk, inStrip in
      Kernels.copyRows(count, length: length, from: bytes.span, inStrip, to: &span, inChunk)
    }
    return chunk
  }
}
