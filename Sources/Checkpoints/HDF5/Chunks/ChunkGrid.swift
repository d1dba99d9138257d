import Kernels

/// The division of a tensor into chunks, and into row ranges: ranges of its row-major bytes that
/// are unpacked and packed together; whole rows of chunks if these are not too large.
struct ChunkGrid: Sendable {
  let extents, sides: [UInt64]
  /// The number of chunks along each dimension.
  let counts: [UInt64]
  let width: UInt64
  /// The number of bytes from one index to the next in each dimension, of the tensor and of a
  /// chunk.
  let strides, chunkStrides: [UInt64]
  /// The dimension that row ranges divide; those before it have one index in each row range.
  private let divided: Int
  /// The number of indices of that dimension in a row range.
  private let rows: UInt64

  private static let wantedSize: UInt64 = 8 << 20
  private static let maximumSize: UInt64 = 32 << 20

  /// Creates the grid of a tensor, which must have elements.
  init(_ tensor: StoredTensor, _ chunks: StoredTensor.Chunks) {
    extents = tensor.shape.extents
    sides = chunks.shape.extents
    counts = zip(extents, sides).map { ($0 - 1) / $1 + 1 }
    width = UInt64(tensor.type.width)
    strides = Self.strides(extents, width)
    chunkStrides = Self.strides(sides, width)
    let divided = strides.firstIndex { $0 <= Self.maximumSize } ?? extents.count - 1
    self.divided = divided
    let stride = strides[divided]
    let side = min(sides[divided], extents[divided])
    let chunkRow = side * stride
    rows =
      chunkRow <= Self.maximumSize
      ? side * max(1, Self.wantedSize / chunkRow) : max(1, Self.maximumSize / stride)
  }

  private static func strides(_ extents: [UInt64], _ width: UInt64) -> [UInt64] {
    var strides = extents
    var stride = width
    for dimension in extents.indices.reversed() {
      strides[dimension] = stride
      stride *= extents[dimension]
    }
    return strides
  }

  /// True if no chunk extends over several row ranges.
  var rowRangesHoldWholeChunks: Bool {
    rows % min(sides[divided], extents[divided]) == 0
      && sides[..<divided].allSatisfy { $0 == 1 }
  }

  /// A row range of a tensor.
  struct RowRange: Sendable {
    /// The byte range in the tensor.
    var range: Range<UInt64>
    /// The indices in each dimension.
    fileprivate var box: [Range<UInt64>]
    /// The indices of the chunks that it overlaps.
    var chunks: Range<UInt64>
  }

  /// Returns the row range that contains a byte of the tensor.
  func rowRange(at offset: UInt64) -> RowRange {
    var index = offset / strides[divided]
    let row = index % extents[divided]
    let first = row - row % rows
    let last = min(extents[divided], first + rows)
    let start = (index - row + first) * strides[divided]
    var box = extents.map { 0..<$0 }
    box[divided] = first..<last
    index /= extents[divided]
    for dimension in (0..<divided).reversed() {
      let coordinate = index % extents[dimension]
      box[dimension] = coordinate..<coordinate + 1
      index /= extents[dimension]
    }
    var rowRange = RowRange(
      range: start..<start + (last - first) * strides[divided], box: box, chunks: 0..<0)
    rowRange.chunks = chunks(of: rowRange, touching: rowRange.range)
    return rowRange
  }

  /// Returns the indices of the chunks of a row range that a range of its bytes may overlap: whole
  /// chunk rows, which are all chunks with one coordinate along the divided dimension.
  func chunks(of rowRange: RowRange, touching range: Range<UInt64>) -> Range<UInt64> {
    let chunkRows = chunkRows(of: rowRange, touching: range)
    let perRow = counts[(divided + 1)...].reduce(1, *)
    var index: UInt64 = 0
    for dimension in 0..<divided {
      index = index * counts[dimension] + rowRange.box[dimension].lowerBound / sides[dimension]
    }
    index *= counts[divided]
    return (index + chunkRows.lowerBound) * perRow..<(index + chunkRows.upperBound) * perRow
  }

  /// Returns the bytes of a row range that are in the chunk rows which a range overlaps.
  func bytes(of rowRange: RowRange, inChunkRowsOf range: Range<UInt64>) -> Range<UInt64> {
    let chunkRows = chunkRows(of: rowRange, touching: range)
    let box = rowRange.box[divided]
    let first = max(box.lowerBound, chunkRows.lowerBound * sides[divided])
    let last = min(box.upperBound, chunkRows.upperBound * sides[divided])
    let start = rowRange.range.lowerBound + (first - box.lowerBound) * strides[divided]
    return start..<start + (last - first) * strides[divided]
  }

  private func chunkRows(of rowRange: RowRange, touching range: Range<UInt64>) -> Range<UInt64> {
    let row = rowRange.box[divided].lowerBound
    let first = row + (range.lowerBound - rowRange.range.lowerBound) / strides[divided]
    let last = row + (range.upperBound - 1 - rowRange.range.lowerBound) / strides[divided]
    return first / sides[divided]..<last / sides[divided] + 1
  }

  /// Returns the coordinates in the grid of the chunk with an index.
  func coordinates(of index: UInt64) -> [UInt64] {
    var coordinates = counts
    var rest = index
    for dimension in counts.indices.reversed() {
      coordinates[dimension] = rest % counts[dimension]
      rest /= counts[dimension]
    }
    return coordinates
  }

  /// Returns whether the chunk at these coordinates extends beyond the tensor.
  func isCut(_ coordinates: [UInt64]) -> Bool {
    zip(coordinates, zip(sides, extents)).contains { ($0 + 1) * $1.0 > $1.1 }
  }
}

extension ChunkGrid {
  /// Calls `body` with the intersection of a chunk and a row range, in groups of rows of equal
  /// length: their count, their length, and their offsets in the chunk and in the row range.
  func forEachRun(
    of coordinates: [UInt64], in rowRange: RowRange,
    _ body: (_ count: Int, _ length: Int, _ chunk: Kernels.Rows, _ rowRange: Kernels.Rows) -> Void
  ) {
    let box = extents.indices.map { dimension in
      let start = coordinates[dimension] * sides[dimension]
      return max(
        start, rowRange.box[dimension].lowerBound)..<min(
          start + sides[dimension], rowRange.box[dimension].upperBound)
    }
    // Trailing dimensions that both cover completely are contiguous.
    var inner = extents.count - 1
    var length = UInt64(box[inner].count) * width
    while inner > 0, box[inner].count == Int(extents[inner]), sides[inner] == extents[inner] {
      inner -= 1
      length *= UInt64(box[inner].count)
    }
    let row = inner - 1
    var index = box.map(\.lowerBound)
    while true {
      var inChunk: UInt64 = 0
      var inTensor: UInt64 = 0
      for dimension in index.indices {
        inChunk +=
          (index[dimension] - coordinates[dimension] * sides[dimension]) * chunkStrides[dimension]
        inTensor += index[dimension] * strides[dimension]
      }
      body(
        row >= 0 ? box[row].count : 1, Int(length),
        Kernels.Rows(start: Int(inChunk), stride: row >= 0 ? Int(chunkStrides[row]) : 0),
        Kernels.Rows(
          start: Int(inTensor - rowRange.range.lowerBound),
          stride: row >= 0 ? Int(strides[row]) : 0))
      var dimension = row - 1
      while dimension >= 0 {
        index[dimension] += 1
        if index[dimension] < box[dimension].upperBound { break }
        index[dimension] = box[dimension].lowerBound
        dimension -= 1
      }
      if dimension < 0 { return }
    }
  }
}
