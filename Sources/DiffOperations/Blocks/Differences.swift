import DiffFormat
import Kernels

/// Changes to elements of a tensor, and the elements that they replace.
struct Differences: Sendable {
  /// The changes from the old elements to the new ones: the exclusive-or of both, or new elements.
  var changes = ChangeRun<UInt8>()
  /// The old elements, in the same order.
  var old: [UInt8] = []

  /// Creates an empty set of differences.
  init() {}

  /// Creates differences from changes and the old elements.
  init(_ changes: ChangeRun<UInt8>, old: [UInt8]) {
    self.changes = changes
    self.old = old
  }

  /// Finds the differences of two blocks that begin at a position, with values for `mode`.
  init(
    from old: [UInt8], to new: [UInt8], width: Int, at start: UInt64,
    _ mode: Kernels.Scatter = .xor
  ) {
    let offsets = Kernels.differences(old.span, new.span, width: width)
    guard !offsets.isEmpty else { return }
    self.old = Kernels.gathered(old.span, width: width, at: offsets.span)
    var values = Kernels.gathered(new.span, width: width, at: offsets.span)
    if mode == .xor {
      var span = values.mutableSpan
      Kernels.xor(&span, with: self.old.span)
    }
    changes = ChangeRun(at: start, offsets, values)
  }
}
