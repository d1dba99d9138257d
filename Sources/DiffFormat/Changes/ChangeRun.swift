import Kernels
import TensorCore

/// A run of changes to a tensor: ascending positions, and the values of each. See `ChangeView`,
/// which is how it is read.
public struct ChangeRun<Value: BitwiseCopyable & Sendable>: Sendable {
  /// The position that offsets count from.
  public var start: UInt64
  /// Positions less `start`, ascending.
  public var offsets: [UInt32]
  /// The values in the same order, equally many for each offset.
  public var values: [Value]

  /// Changes at `start + offsets[i]`; by default none.
  public init(at start: UInt64 = 0, _ offsets: [UInt32] = [], _ values: [Value] = []) {
    self.start = start
    self.offsets = offsets
    self.values = values
  }

  /// All changes, without copying them.
  public var view: ChangeView<Value> {
    @_lifetime(borrow self) get { ChangeView(at: start, offsets.span, values.span) }
  }

  /// How many changes there are.
  public var count: Int { offsets.count }

  /// Whether there are none.
  public var isEmpty: Bool { offsets.isEmpty }

  /// Forgets all changes, and keeps the memory for others.
  package mutating func removeAll() {
    offsets.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
  }
}

extension ChangeRun<UInt8> {
  /// Every element from `start` on, of `width` bytes each.
  package init(at start: UInt64, every elements: [UInt8], width: Int) {
    self.init(at: start, Array(0..<UInt32(elements.count / width)), elements)
  }

  /// Adds changes, whose offsets then count from this run's start; false, and nothing added, if
  /// they do not ascend. All must lie within 2^32 positions of it.
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

  /// Cuts ascending positions into runs of at most `limit`, each within reach of 32 bits.
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
