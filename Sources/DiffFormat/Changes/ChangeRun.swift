import Kernels
import TensorCore

/// A run of changes to a tensor: ascending positions with their values. It is read through a
/// `ChangeView`.
public struct ChangeRun<Value: BitwiseCopyable & Sendable>: Sendable {
  /// The position that offsets are relative to.
  public var start: UInt64
  /// The positions minus `start`, ascending.
  public var offsets: [UInt32]
  /// The values in the same order, the same number for each offset.
  public var values: [Value]

  /// Creates a run of changes at `start + offsets[i]`; by default an empty one.
  public init(at start: UInt64 = 0, _ offsets: [UInt32] = [], _ values: [Value] = []) {
    self.start = start
    self.offsets = offsets
    self.values = values
  }

  /// A view of all changes; nothing is copied.
  public var view: ChangeView<Value> {
    @_lifetime(borrow self) get { ChangeView(at: start, offsets.span, values.span) }
  }

  /// The number of changes.
  public var count: Int { offsets.count }

  /// True if there are no changes.
  public var isEmpty: Bool { offsets.isEmpty }

  /// Removes all changes and keeps the memory.
  package mutating func removeAll() {
    offsets.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
  }
}

extension ChangeRun<UInt8> {
  /// A change of every element from `start` on, of `width` bytes each.
  package init(at start: UInt64, every elements: [UInt8], width: Int) {
    self.init(at: start, Array(0..<UInt32(elements.count / width)), elements)
  }

  /// Appends changes with offsets relative to this run's start; returns false and appends nothing
  /// if they do not ascend. All must be within 2^32 positions of the start.
  package mutating func append(_ changes: ChangeView<UInt8>) -> Bool {
    guard
      Kernels.rebase(changes.offsets, by: changes.shift(to: start), appendingTo: &offsets)
    else { return false }
    values.append(copying: changes.values)
    return true
  }
}

extension [UInt64] {
  /// Appends the positions of changes.
  package mutating func append<Value>(contentsOf changes: ChangeView<Value>) {
    reserveCapacity(count + changes.count)
    for i in 0..<changes.count { append(changes.position(i)) }
  }

  /// Divides ascending positions into runs of at most `limit` whose offsets take 32 bits.
  package func runs(
    upTo limit: Int = Layout.pageCapacity
  ) -> [(start: UInt64, offsets: [UInt32], indices: Range<Int>)] {
    var runs: [(start: UInt64, offsets: [UInt32], indices: Range<Int>)] = []
    var next = 0
    while next < count {
      let start = self[next]
      let offsets = self[next...].prefix(limit).prefix { $0 &- start < 1 << 32 }
        .map { UInt32(truncatingIfNeeded: $0 &- start) }
      runs.append((start, offsets, next..<next + offsets.count))
      next += offsets.count
    }
    return runs
  }
}
