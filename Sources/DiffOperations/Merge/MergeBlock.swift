import CKernels
import DiffFormat
import Kernels

/// Sums of changes to a block of elements that arrive in any order: some numbers for each element
/// (channels), and which elements were changed at all, twice, and in both directions.
///
/// Memory and the time to make one are O(elements); adding and harvesting are O(changes).
struct MergeBlock: Sendable {
  /// How many elements the block has room for: a multiple of 64.
  let size: Int
  /// What was harvested last.
  var harvested: MergedChanges
  private let channels: Int
  private var sums: [Double]
  private var marks: [UInt64]
  /// So many times 64 elements may have been changed.
  private var used = 0

  /// A block of at least one element.
  init(size: Int, channels: Int) {
    self.size = (max(size, 1) + 63) / 64 * 64
    self.channels = channels
    sums = [Double](repeating: 0, count: self.size * channels)
    marks = [UInt64](repeating: 0, count: self.size / 16)
    harvested = MergedChanges(room: self.size, channels: channels)
  }

  /// Adds what the runs have of the elements `first` ..< `first + width`, and moves the cursor
  /// behind: each number v adds to its element, or with terms a, b, c for each channel, first for
  /// numbers above zero, then for those below, `a + b·v + c·v²` to that channel, unless v is zero.
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

  /// Moves what the block holds to `harvested`, in ascending order, and empties it.
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

/// What a block held, in ascending order.
struct MergedChanges: Sendable {
  /// How many positions; the arrays have room for more.
  var count = 0
  /// Positions less an origin that the caller knows.
  var offsets: [UInt32]
  /// The channels of each.
  var sums: [Double]
  /// How many elements were changed twice or more, and how many in both directions.
  fileprivate(set) var shared: UInt64 = 0, opposite: UInt64 = 0

  fileprivate init(room: Int, channels: Int) {
    // The kernel writes in fours.
    offsets = [UInt32](repeating: 0, count: room + 4)
    sums = [Double](repeating: 0, count: room * channels)
  }

  /// The changes, if they have one channel.
  var changes: ChangeView<Double> {
    @_lifetime(borrow self) get {
      ChangeView(at: 0, offsets.span.extracting(first: count), sums.span.extracting(first: count))
    }
  }

  /// Leaves out positions whose number is no more than a limit and is not kept.
  ///
  /// - Complexity: O(positions), and the calls of `isKept`.
  mutating func drop(upTo limit: Double, unless isKept: (UInt32, Double) -> Bool) {
    guard limit > 0, Kernels.count(sums.span.extracting(first: count), upTo: limit) > 0 else {
      return
    }
    var kept = 0
    for i in 0..<count {
      offsets[kept] = offsets[i]
      sums[kept] = sums[i]
      // What is not a number stays, to be refused.
      kept += !(sums[i].magnitude <= limit) || isKept(offsets[i], sums[i]) ? 1 : 0
    }
    count = kept
  }

  /// Multiplies the one channel, and leaves out what becomes zero.
  mutating func multiply(by factor: Double) {
    count = unsafe dk_merge_scale(&offsets, &sums, count, factor)
  }
}

/// The arithmetic of a merge at one position: what a change adds to the channels of a block, and
/// the number that comes of them.
enum Combination: Sendable, Hashable {
  /// One channel, the sum; multiplied by λ.
  case sum(scale: Double)
  /// Vote, and numerator and denominator of either sign: the elected one's quotient, times λ.
  case election(zeroIsPositive: Bool, scale: Double)
  /// How many changes, their sum, and what they would be alone: times λ.
  case sharing(scale: Double)
  /// Sum and sum of squares: the variance over so many diffs.
  case variance(diffs: Int)
  /// Sum and sum of squares: twice the sum of the products of two changes.
  case products
  /// The sum of the votes, of which only the sign is of use.
  case vote
  /// How many changes, and which diff (from 1 on): the diff, if it is the only one.
  case onlyDiff

  var channels: Int {
    switch self {
    case .sum, .vote: 1
    case .variance, .products, .onlyDiff: 2
    case .sharing: 3
    case .election: 5
    }
  }

  /// Whether a change adds to its channel as it is, so that `MergeTerm.channelTerms` is empty.
  var isPlain: Bool { channels == 1 }

  /// Whether its numbers are changes, among which what rounding leaves of a cancellation is none.
  var makesChanges: Bool {
    switch self {
    case .sum, .election, .sharing: true
    case .variance, .products, .vote, .onlyDiff: false
    }
  }

  /// λ.
  var scale: Double {
    switch self {
    case .sum(let scale), .election(_, let scale), .sharing(let scale): scale
    case .variance, .products, .vote, .onlyDiff: 1
    }
  }

  /// Replaces the channels of each position by its number, and leaves out those that are zero.
  ///
  /// - Parameter leastDivisor: A divisor that is no larger is nothing, and as after the sum of weights
  ///   that is zero nothing is divided; negative if there can be none.
  /// - Returns: At how many positions that is so.
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
  /// Replaces so many sums at a time by one number, and leaves out positions where it is zero.
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
