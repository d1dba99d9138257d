import CKernels

/// Sums of changes to a block of elements that arrive in any order: some numbers for each element
/// (channels), and which elements were changed at all, twice, and in both directions.
///
/// Memory and the time to make one are O(elements); adding and harvesting are O(changes).
package struct MergeBlock: Sendable {
  /// How many elements the block has room for: a multiple of 4096.
  package let size: Int
  private let channels: Int
  private var sums: [Double]
  private var marks: [UInt64]
  private var groups: [UInt64]

  /// A block of at least one element.
  package init(size: Int, channels: Int) {
    self.size = (max(size, 1) + 4095) / 4096 * 4096
    self.channels = channels
    sums = [Double](repeating: 0, count: self.size * channels)
    marks = [UInt64](repeating: 0, count: self.size / 16)
    groups = [UInt64](repeating: 0, count: self.size / 4096)
  }

  /// Adds `values[i]` to the one channel of element `offsets[i] - first`.
  package mutating func add(_ offsets: Span<UInt32>, from first: UInt32, _ values: Span<Double>) {
    check(offsets, first, values)
    unsafe withPointers(offsets, values) { at, values, sums, marks, groups in
      unsafe dk_merge_sum(at, offsets.count, first, values, sums, marks, groups)
    }
  }

  /// Adds `a + b·v + c·v²` to each channel of element `offsets[i] - first`, v being `values[i]`,
  /// unless that is zero.
  ///
  /// - Parameter terms: a, b, c for each channel, first for values above zero, then for those
  ///   below.
  package mutating func add(
    _ offsets: Span<UInt32>, from first: UInt32, _ values: Span<Double>, terms: [Double]
  ) {
    check(offsets, first, values)
    precondition(terms.count == channels * 6)
    let channels = UInt32(channels)
    unsafe withPointers(offsets, values) { at, values, sums, marks, groups in
      unsafe dk_merge_terms(
        at, offsets.count, first, values, terms, channels, sums, marks, groups)
    }
  }

  /// Appends what the block holds, in ascending order, and empties it.
  ///
  /// - Parameter room: at least how many elements were changed.
  package mutating func harvest(
    from first: UInt32, room: Int, into out: inout MergedChanges
  ) {
    let room = min(room, size)
    let start = out.offsets.count
    out.offsets.append(contentsOf: repeatElement(0, count: room))
    out.sums.append(contentsOf: repeatElement(0, count: room * channels))
    var conflicts: [UInt64] = [0, 0]
    let channels = UInt32(channels)
    let groupCount = groups.count
    let count = unsafe sums.withUnsafeMutableBufferPointer { sums in
      unsafe marks.withUnsafeMutableBufferPointer { marks in
        unsafe groups.withUnsafeMutableBufferPointer { groups in
          unsafe out.offsets.withUnsafeMutableBufferPointer { at in
            unsafe out.sums.withUnsafeMutableBufferPointer { to in
              guard let sums = sums.baseAddress, let marks = marks.baseAddress,
                let groups = groups.baseAddress, let at = at.baseAddress,
                let to = to.baseAddress
              else { return 0 }
              return unsafe dk_merge_harvest(
                marks, groups, groupCount, channels, sums, first, at + start,
                to + start * Int(channels), room, &conflicts)
            }
          }
        }
      }
    }
    out.offsets.removeLast(room - count)
    out.sums.removeLast((room - count) * self.channels)
    out.shared += conflicts[0]
    out.opposite += conflicts[1]
  }

  private func check(_ offsets: Span<UInt32>, _ first: UInt32, _ values: Span<Double>) {
    precondition(offsets.count == values.count)
    precondition(
      offsets.isEmpty
        || offsets[0] >= first && Int(offsets[offsets.count - 1] - first) < size)
  }

  private mutating func withPointers(
    _ offsets: Span<UInt32>, _ values: Span<Double>,
    _ body: (
      UnsafePointer<UInt32>, UnsafePointer<Double>, UnsafeMutablePointer<Double>,
      UnsafeMutablePointer<UInt64>, UnsafeMutablePointer<UInt64>
    ) -> Void
  ) {
    unsafe offsets.withUnsafeBufferPointer { offsets in
      unsafe values.withUnsafeBufferPointer { values in
        unsafe sums.withUnsafeMutableBufferPointer { sums in
          unsafe marks.withUnsafeMutableBufferPointer { marks in
            unsafe groups.withUnsafeMutableBufferPointer { groups in
              guard let offsets = offsets.baseAddress, let values = values.baseAddress,
                let sums = sums.baseAddress, let marks = marks.baseAddress,
                let groups = groups.baseAddress
              else { return }
              unsafe body(offsets, values, sums, marks, groups)
            }
          }
        }
      }
    }
  }
}

/// What blocks hold, in ascending order.
package struct MergedChanges: Sendable {
  /// Positions less an origin that the caller knows.
  package var offsets: [UInt32] = []
  /// The channels of each.
  package var sums: [Double] = []
  /// How many elements were changed twice or more, and how many in both directions.
  package var shared: UInt64 = 0, opposite: UInt64 = 0

  package init() {}

  /// Makes room for so many positions of one channel.
  package mutating func reserveCapacity(_ count: Int) {
    offsets.reserveCapacity(count)
    sums.reserveCapacity(count)
  }

  /// Adds what stands behind.
  package mutating func append(_ other: MergedChanges) {
    offsets += other.offsets
    sums += other.sums
    shared += other.shared
    opposite += other.opposite
  }

  /// Empties it, and keeps the room.
  package mutating func removeAll() {
    offsets.removeAll(keepingCapacity: true)
    sums.removeAll(keepingCapacity: true)
    (shared, opposite) = (0, 0)
  }
}
