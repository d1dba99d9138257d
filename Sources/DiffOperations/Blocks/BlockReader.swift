import Checkpoints
import TensorCore

/// Reads ranges of a tensor that ascend, however small, a block at a time.
struct BlockReader {
  private let file: any Checkpoint
  private let tensor: StoredTensor
  private var block: Range<UInt64> = 0..<0
  private var bytes: [UInt8] = []

  init(_ tensor: StoredTensor, in file: any Checkpoint) {
    self.file = file
    self.tensor = tensor
  }

  /// The bytes of ranges of elements, end to end.
  mutating func read(_ ranges: [Range<UInt64>]) throws(DiffError) -> [UInt8] {
    let width = UInt64(tensor.type.width)
    var out: [UInt8] = []
    for range in ranges {
      var offset = range.lowerBound * width
      let end = range.upperBound * width
      while offset < end {
        try load(offset)
        let count = min(end, block.upperBound) - offset
        let start = Int(offset - block.lowerBound)
        out += bytes[start..<start + Int(count)]
        offset += count
      }
    }
    return out
  }

  /// Makes the block that holds a byte the current one.
  private mutating func load(_ offset: UInt64) throws(DiffError) {
    guard !block.contains(offset) else { return }
    let size = UInt64(Blocks.size(width: tensor.type.width))
    let start = offset - offset % size
    let next = start..<min(start + size, tensor.byteCount)
    block = 0..<0
    try file.read(tensor, next, into: &bytes)
    block = next
  }
}
