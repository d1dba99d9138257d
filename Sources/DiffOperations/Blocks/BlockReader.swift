import Checkpoints
import TensorCore

/// Reads ascending ranges of a tensor, loading one block at a time.
struct BlockReader {
  private let file: any Checkpoint
  private let tensor: StoredTensor
  private var block: Range<UInt64> = 0..<0
  private var bytes: [UInt8] = []

  init(_ tensor: StoredTensor, in file: any Checkpoint) {
    self.file = file
    self.tensor = tensor
  }

  /// Returns the bytes of ranges of elements, concatenated.
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

  /// Loads the block that holds a byte.
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
