import CKernels
import DiffFormat
import Kernels

/// The sums of changes to a block of elements, added in any order: one or more numbers for each
/// element (channels), and marks of elements that were changed once, more than once, and in both
/// directions.
///
/// Memory and creation are O(elements); adding and harvesting are O(changes).
struct MergeBlock: Sendable {
  /// The capacity in elements: a multiple of 64.
  let size: Int
  /// The changes that were harvested last.
  var harvested: MergedChanges
  private let channels: Int
  private var sums: [Double]
  private var marks: [UInt64]
  /// The number of groups of 64 elements that may have been changed.
  private var used = 0

  /// Creates a block of at least `size` elements.
  init(size: Int, channels: Int) {
    self.size = (max(size, 1) + 63) / 64 * 64
    self.channels = channels
    sums = [Double](repeating: 0, count: self.size * channels)
    marks = [UInt64](repeating: 0, count: self.size / 16)
    harvested = MergedChanges(capacity: self.size, channels: channels)
  }

  /// Adds the changes of the runs to the elements `first` ..< `first + width`, and moves the cursor
  /// past them. Without terms, each number v is added to its element. With terms a, b, c for each
  /// channel, first for positive numbers, then for negative ones, `a + b·v + c·v²` is added to that
  /// channel, unless v is zero.
  mutating func add(_ cursor: inout ChangeCursor, from first: UInt32, width: Int) {
    precondition(width <= size)
    let (terms, count, width) = unsafe (cursor.terms, cursor.left.count, UInt32(width))
    let next =
      unsafe terms.isEmpty
      ? dk_merge_sum(&cursor.left, count, first, width, &sums, &marks, &used)
      : dk_merge_terms(
        &cursor.left, count, first, width, terms, UInt32(channels), &sums, &marks, &used)
    cursor.next = UInt32(exactly: next)
  }

  /// Moves the sums of the block to `harvested`, in ascending order, and clears the block.
  mutating func harvest(from first: UInt32) {
    var conflicts: [UInt64] = [0, 0]
    harvested.count = unsafe dk_merge_harvest(
      &marks, used, UInt32(channels), &sums, first, &harvested.offsets, &harvested.sums,
      &conflicts)
    used = 0
    harvested.shared = conflicts[0]
    harvested.opposite = conflicts[1]
  }
}

/// The sums of a block, in ascending order of positions.
struct MergedChanges: Sendable {
  /// The number of positions, which the capacity of the arrays may exceed.
  var count = 0
  /// The positions, relative to an origin that the caller knows.
  var offsets: [UInt32]
  /// The channels of each position.
  var sums: [Double]
  /// The number of elements that were changed more than once, and of those changed in both
  /// directions.
  fileprivate(set) var shared: UInt64 = 0, opposite: UInt64 = 0

  fileprivate init(capacity: Int, channels: Int) {
    // The kernel writes four offsets at a time.
    offsets = [UInt32](repeating: 0, count: capacity + 4)
    sums = [Double](repeating: 0, count: capacity * channels)
  }

  /// The changes, which must have one channel.
  var changes: ChangeView<Double> {
    @_lifetime(borrow self) get {
      ChangeView(at: 0, offsets.span.extracting(first: count), sums.span.extracting(first: count))
    }
  }

  /// Removes positions whose number does not exceed a limit, unless `isKept` returns true.
  ///
  /// - Complexity: O(positions), plus the calls of `isKept`.
  mutating func drop(upTo limit: Double, unless isKept: (UInt32, Double) -> Bool) {
    guard limit > 0, Kernels.count(sums.span.extracting(first: count), upTo: limit) > 0 else {
      return
    }
    var kept = 0
    for i in 0..<count {
      offsets[kept] = offsets[i]
      sums[kept] = sums[i]
      // NaNs are kept, to be refused later.
      kept += !(sums[i].magnitude <= limit) || isKept(offsets[i], sums[i]) ? 1 : 0
    }
    count = kept
  }

  /// Multiplies the one channel, and removes positions whose number becomes zero.
  mutating func multiply(by factor: Double) {
    count = unsafe dk_merge_scale(&offsets, &sums, count, factor)
  }
}

/// The arithmetic of a merge at one position: the terms that a change adds to the channels of a
/// block, and the number computed from them.
enum Combination: Sendable, Hashable {
  /// One channel, the sum: multiplied by λ.
  case sum(scale: Double)
  /// The vote, and the numerator and denominator of either sign: the quotient of the elected sign,
  /// times λ.
  case election(zeroIsPositive: Bool, scale: Double)
  /// The number of changes, their sum, and their value if there is only one: their mean or that
  /// value, times λ.
  case sharing(scale: Double)
  /// The sum and the sum of squares: the variance over `diffs` diffs.
  case variance(diffs: Int)
  /// The sum and the sum of squares: twice the sum of the products of pairs of changes.
  case products
  /// The sum of the votes, of which only the sign is used.
  case vote
  /// The number of changes, and the sum of the 1-based indices of their diffs: the index, if there
  /// is only one change.
  case onlyDiff

  var channels: Int {
    switch self {
    case .sum, .vote: 1
    case .variance, .products, .onlyDiff: 2
    case .sharing: 3
    case .election: 5
    }
  }

  /// True if a change is added to the one channel unmodified, so that `MergeTerm.channelTerms` is
  /// empty.
  var isPlain: Bool { channels == 1 }

  /// True if the numbers are changes, of which the rounding errors of a cancellation are removed.
  var makesChanges: Bool {
    switch self {
    case .sum, .election, .sharing: true
    case .variance, .products, .vote, .onlyDiff: false
    }
  }

  /// The factor λ.
  var scale: Double {
    switch self {
    case .sum(let scale), .election(_, let scale), .sharing(let scale): scale
    case .variance, .products, .vote, .onlyDiff: 1
    }
  }

  /// Replaces the channels of each position by its number, and removes positions where it is zero.
  ///
  /// - Parameter leastDivisor: the magnitude up to which a divisor counts as zero, so that the sum
  ///   is not divided; negative if there is no such divisor.
  /// - Returns: the number of positions with such a divisor.
  func finish(_ changes: inout MergedChanges, leastDivisor: Double) -> UInt64 {
    var undivided: UInt64 = 0
    switch self {
    case .sum(let scale): changes.multiply(by: scale)
    case .vote: changes.multiply(by: 1)
    case .election(let zeroIsPositive, let scale):
      changes.reduce(5) { sums in
        let isPositive = sums[0] > 0 || sums[0] == 0 && zeroIsPositive
        let (value, divisor) = isPositive ? (sums[1], sums[2]) : (sums[3], sums[4])
        guard divisor.magnitude <= leastDivisor else {
          return (divisor == 0 ? value : value / divisor) * scale
        }
        undivided += 1
        return value * scale
      }
    case .sharing(let scale):
      changes.reduce(3) { ($0[0] > 1 ? $0[1] / $0[0] : $0[2]) * scale }
    case .variance(let diffs):
      changes.reduce(2) { sums in
        let mean = sums[0] / Double(diffs)
        return max(0, sums[1] / Double(diffs) - mean * mean)
      }
    case .products: changes.reduce(2) { $0[0] * $0[0] - $0[1] }
    case .onlyDiff: changes.reduce(2) { $0[0] == 1 ? $0[1] : 0 }
    }
    return undivided
  }
}

extension MergedChanges {
  /// Replaces each group of `channels` sums by one number, and removes positions where it is zero.
  fileprivate mutating func reduce(_ channels: Int, _ body: (Span<Double>) -> Double) {
    var kept = 0
    for i in 0..<count {
      let number = body(sums.span.extracting(i * channels..<(i + 1) * channels))
      offsets[kept] = offsets[i]
      sums[kept] = number
      kept += number != 0 ? 1 : 0
    }
    count = kept
  }
}
