import Kernels
import SystemSupport
import TensorCore

/// A block of gradients that ranks sum at once.
struct GradientBlock {
  let buffer: FloatBuffer
  /// The part of each rank.
  let parts: [Range<Int>]
  /// The parameters whose gradients are in the block.
  let parameters: [Int]

  /// Creates a block and divides it into parts.
  ///
  /// - Parameters:
  ///   - range: The range of the block in the buffer.
  ///   - count: The number of ranks.
  init(_ buffer: FloatBuffer, _ range: Range<Int>, _ parameters: [Int], among count: Int) {
    self.buffer = buffer
    self.parameters = parameters
    let bounds = (0...count).map { range.lowerBound + range.count * $0 / count }
    parts = zip(bounds, bounds.dropFirst()).map { $0..<$1 }
  }
}

/// A block that is being sent: float32 values in their buffer, or bf16 values in another one.
struct TravellingBlock {
  let block: GradientBlock
  let precision: Precision
  /// The buffer that is sent, and the part of each rank in it.
  let words: FloatBuffer
  let parts: [Range<Int>]
  /// A buffer for the parts that other ranks send to this one.
  let received: FloatBuffer

  /// Prepares a block for sending, and rounds its values if they are sent in bf16.
  ///
  /// - Parameter take: Returns a buffer of at least the given number of words.
  init(_ block: GradientBlock, _ precision: Precision, rank: Int, _ take: (Int) -> FloatBuffer) {
    self.block = block
    self.precision = precision
    let count = block.parts.count
    switch precision {
    case .f32: (words, parts) = (block.buffer, block.parts)
    case .bf16:
      var next = 0
      parts = block.parts.map { part in
        defer { next += (part.count + 1) / 2 }
        return next..<next + (part.count + 1) / 2
      }
      words = take(next)
    }
    // For bf16, followed by the sum in float32.
    let own = parts[rank].count * count
    received = take(precision == .f32 ? own : own + block.parts[rank].count)
    if precision == .bf16 { for part in 0..<count { round(part) } }
  }

  /// Some words as bf16 values.
  private func half(_ words: FloatBuffer, _ range: Range<Int>, _ count: Int) -> HalfMatrix {
    HalfMatrix(
      FloatMatrix(words, at: range.lowerBound, rows: 1, columns: range.count), columns: count)
  }

  private func floats(_ part: Int) -> FloatMatrix {
    let range = block.parts[part]
    return FloatMatrix(block.buffer, at: range.lowerBound, rows: 1, columns: range.count)
  }

  private func round(_ part: Int) {
    Kernels.round(floats(part), into: half(words, parts[part], block.parts[part].count))
  }

  /// Makes this rank's part the sum of those of all ranks, in their order.
  func add(rank: Int) {
    let (count, width) = (parts.count, block.parts[rank].count)
    let stride = parts[rank].count
    switch precision {
    case .f32:
      RangeTasks([0..<width]).forEach { range in
        func part(_ number: Int) -> FloatMatrix {
          number == rank
            ? floats(rank).columns(range)
            : FloatMatrix(
              received, at: number * stride + range.lowerBound, rows: 1, columns: range.count)
        }
        for number in 1..<count { Kernels.add(part(number), to: part(0)) }
        if rank > 0 { Kernels.put(part(0), into: part(rank), adding: false) }
      }
    case .bf16:
      // This rank's own part is rounded as those of others are.
      let sum = FloatMatrix(received, at: count * stride, rows: 1, columns: width)
      sum.clear()
      for number in 0..<count {
        let (memory, start) =
          number == rank ? (words, parts[rank].lowerBound) : (received, number * stride)
        Kernels.add(half(memory, start..<start + stride, width), to: sum)
      }
      Kernels.round(sum, into: half(words, parts[rank], width))
    }
  }

  /// Copies the sums of all parts into the gradients.
  func arrive() {
    guard precision == .bf16 else { return }
    for (part, range) in block.parts.enumerated() {
      floats(part).clear()
      Kernels.add(half(words, parts[part], range.count), to: floats(part))
    }
  }
}
