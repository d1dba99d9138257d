import Kernels

/// Where two blocks of a tensor differ.
struct BlockDifferences: Sendable {
  var offsets: [UInt32] = []
  /// What takes one to the other: the exclusive-or of their elements, or new elements.
  var values: [UInt8] = []
  /// The elements of the first block there.
  var old: [UInt8] = []

  /// No differences.
  init() {}

  /// The exclusive-or of two blocks where they differ.
  init(from old: [UInt8], to new: [UInt8], width: Int) {
    offsets = Self.positions(old, new, width: width)
    guard !offsets.isEmpty else { return }
    self.old = Kernels.gathered(old.span, width: width, at: offsets.span)
    var xor = Kernels.gathered(new.span, width: width, at: offsets.span)
    var span = xor.mutableSpan
    Kernels.xor(&span, with: self.old.span)
    values = xor
  }

  /// Every element of a block.
  init(all block: [UInt8], width: Int) {
    offsets = (0..<UInt32(block.count / width)).map { $0 }
    values = block
  }

  private static func positions(_ old: [UInt8], _ new: [UInt8], width: Int) -> [UInt32] {
    var offsets = [UInt32](repeating: 0, count: old.count / width)
    var span = offsets.mutableSpan
    let changed = Kernels.differences(old.span, new.span, width: width, into: &span)
    offsets.removeLast(offsets.count - changed)
    return offsets
  }
}
