import Kernels

/// How a tensor is divided into chunks, and into strips: ranges of its row-major bytes that are
/// unpacked and packed together, whole rows of chunks where they are not too large.
struct ChunkGrid: Sendable {
  let extents, sides: [UInt64]
  /// Chunks along each dimension.
  let counts: [UInt64]
  let width: UInt64
  /// Bytes from one index to the next in each dimension: of the tensor, of a chunk.
  let strides, chunkStrides: [UInt64]
  /// The dimension that strips divide; those before have one index in each strip.
  private let divided: Int
  /// Indices of that dimension in a strip.
  private let rows: UInt64

  private static let wantedSize: UInt64 = 8 << 20
  private static let maximumSize: UInt64 = 32 << 20

  /// The grid of a tensor that has elements.
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
    let band = side * stride
    rows =
      band <= Self.maximumSize
      ? side * max(1, Self.wantedSize / band) : max(1, Self.maximumSize / stride)
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

  /// Whether no chunk reaches from one strip into another.
  var stripsHoldWholeChunks: Bool {
    rows % min(sides[divided], extents[divided]) == 0
      && sides[..<divided].allSatisfy { $0 == 1 }
  }

  /// Part of a tensor.
  struct Strip: Sendable {
    /// The bytes of the tensor.
    var range: Range<UInt64>
    /// For each dimension, the indices.
    fileprivate var box: [Range<UInt64>]
    /// The numbers of the chunks that it cuts or holds.
    var chunks: Range<UInt64>
  }

  /// The strip of a byte of the tensor.
  func strip(at offset: UInt64) -> Strip {
    var index = offset / strides[divided]
    let row = index % extents[divided]
    let first = row - row % rows
    let last = min(extents[divided], first + rows)
    let start = (index - row + first) * strides[divided]
    var box = extents.map { 0..<$0 }
    box[divided] = first..<last
    index /= extents[divided]
    for dimension in (0..<divided).reversed() {
      let place = index % extents[dimension]
      box[dimension] = place..<place + 1
      index /= extents[dimension]
    }
    var strip = Strip(
      range: start..<start + (last - first) * strides[divided], box: box, chunks: 0..<0)
    strip.chunks = chunks(of: strip, touching: strip.range)
    return strip
  }

  /// The numbers of the chunks of a strip that a range of its bytes may touch: whole bands, that
  /// is all chunks that have one place along the divided dimension.
  func chunks(of strip: Strip, touching range: Range<UInt64>) -> Range<UInt64> {
    let bands = bands(of: strip, touching: range)
    let perBand = counts[(divided + 1)...].reduce(1, *)
    var number: UInt64 = 0
    for dimension in 0..<divided {
      number = number * counts[dimension] + strip.box[dimension].lowerBound / sides[dimension]
    }
    number *= counts[divided]
    return (number + bands.lowerBound) * perBand..<(number + bands.upperBound) * perBand
  }

  /// The bytes of a strip that lie in the bands which a range touches.
  func bytes(of strip: Strip, inBandsOf range: Range<UInt64>) -> Range<UInt64> {
    let bands = bands(of: strip, touching: range)
    let box = strip.box[divided]
    let first = max(box.lowerBound, bands.lowerBound * sides[divided])
    let last = min(box.upperBound, bands.upperBound * sides[divided])
    let start = strip.range.lowerBound + (first - box.lowerBound) * strides[divided]
    return start..<start + (last - first) * strides[divided]
  }

  private func bands(of strip: Strip, touching range: Range<UInt64>) -> Range<UInt64> {
    let row = strip.box[divided].lowerBound
    let first = row + (range.lowerBound - strip.range.lowerBound) / strides[divided]
    let last = row + (range.upperBound - 1 - strip.range.lowerBound) / strides[divided]
    return first / sides[divided]..<last / sides[divided] + 1
  }

  /// Where the chunk of a number is in the grid.
  func place(of number: UInt64) -> [UInt64] {
    var place = counts
    var rest = number
    for dimension in counts.indices.reversed() {
      place[dimension] = rest % counts[dimension]
      rest /= counts[dimension]
    }
    return place
  }

  /// Whether the edge of the tensor cuts the chunk at a place.
  func isCut(_ place: [UInt64]) -> Bool {
    zip(place, zip(sides, extents)).contains { ($0 + 1) * $1.0 > $1.1 }
  }
}

extension ChunkGrid {
  /// Calls `body` with what a chunk and a strip share, in runs of rows of equal length: how many,
  /// how long, where in the chunk's bytes and where in the strip's.
  func forEachRun(
    of place: [UInt64], in strip: Strip,
    _ body: (_ count: Int, _ length: Int, _ chunk: Kernels.Rows, _ strip: Kernels.Rows) -> Void
  ) {
    let box = extents.indices.map { dimension in
      let start = place[dimension] * sides[dimension]
      return max(
        start, strip.box[dimension].lowerBound)..<min(
          start + sides[dimension], strip.box[dimension].upperBound)
    }
    // Dimensions in which both are whole lie in one piece with the next.
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
          (index[dimension] - place[dimension] * sides[dimension]) * chunkStrides[dimension]
        inTensor += index[dimension] * strides[dimension]
      }
      body(
        row >= 0 ? box[row].count : 1, Int(length),
        Kernels.Rows(start: Int(inChunk), stride: row >= 0 ? Int(chunkStrides[row]) : 0),
        Kernels.Rows(
          start: Int(inTensor - strip.range.lowerBound), stride: row >= 0 ? Int(strides[row]) : 0))
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
