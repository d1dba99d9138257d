import Checkpoints
import SystemSupport
import TensorCore

/// Tensors are worked on in blocks, one or a few of those of their fingerprints, and blocks in
/// windows: as many as all cores can work on at once. Memory is a few windows, whatever the size of a
/// tensor.
package enum Blocks {
  /// Bytes of a block of elements of so many bytes: a block of fingerprints, or as few as hold whole
  /// elements (of 3, 5, 6 and 7 bytes).
  static func size(width: Int) -> Int {
    let one = Fingerprint.Builder.blockSize
    return one % width == 0 ? one : one * width
  }

  /// Blocks of a window: enough for all cores, but no more than memory should pay for (a block of
  /// bytes of which every one changes takes eleven times its size while it is worked on).
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
  /// Makes `room` the bytes of a block.
  package func read(
    _ tensor: StoredTensor, _ block: Range<UInt64>, into room: inout [UInt8]
  ) throws(DiffError) {
    try room.withBlock(block) { span throws(DiffError) in
      try read(tensor, at: block.lowerBound, into: &span)
    }
  }
}

extension [UInt8] {
  /// Makes the array as long as a block, for `body` to fill.
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
