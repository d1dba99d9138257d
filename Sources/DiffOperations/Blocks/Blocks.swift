import Checkpoints
import SystemSupport
import TensorCore

/// The division of a tensor into blocks, each of one or a few fingerprint blocks, and of blocks
/// into windows, which all cores process at once. Memory is a few windows, whatever the size of a
/// tensor.
package enum Blocks {
  /// Returns the size in bytes of a block of elements of `width` bytes: one fingerprint block, or
  /// the few that hold whole elements (of 3, 5, 6 and 7 bytes).
  static func size(width: Int) -> Int {
    let one = Fingerprint.Builder.blockSize
    return one % width == 0 ? one : one * width
  }

  /// The number of blocks of a window: enough for all cores, but bounded for memory (a block of
  /// bytes all of which change takes eleven times its size while it is processed).
  static let perWindow = min(8, max(4, 2 * ProcessorCount.online))

  /// Calls `body` with the byte ranges of the blocks of each window, in order.
  package static func forEachWindow(
    of byteCount: UInt64, width: Int, _ body: ([Range<UInt64>]) throws(DiffError) -> Void
  ) throws(DiffError) {
    let size = size(width: width)
    var start: UInt64 = 0
    while start < byteCount {
      var window: [Range<UInt64>] = []
      while start < byteCount && window.count < perWindow {
        let end = min(byteCount, start + UInt64(size))
        window.append(start..<end)
        start = end
      }
      try body(window)
    }
  }

}

extension Checkpoint {
  /// Reads the bytes of a block into `buffer`, which is resized.
  package func read(
    _ tensor: StoredTensor, _ block: Range<UInt64>, into buffer: inout [UInt8]
  ) throws(DiffError) {
    try buffer.withBlock(block) { span throws(DiffError) in
      try read(tensor, at: block.lowerBound, into: &span)
    }
  }
}

extension [UInt8] {
  /// Resizes the array to a block and calls `body` to fill it.
  mutating func withBlock(
    _ block: Range<UInt64>, _ body: (inout MutableSpan<UInt8>) throws(DiffError) -> Void
  ) throws(DiffError) {
    let count = Int(block.upperBound - block.lowerBound)
    if self.count > count { removeLast(self.count - count) }
    append(contentsOf: repeatElement(0, count: count - self.count))
    var span = mutableSpan
    try body(&span)
  }
}
