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
  /// The sum of the votes, of which only the sign is of use.
  case vote
  /// How many changes, and which diff (from 1 on): the diff, if it is the only one.
  case onlyDiff

  var channels: Int {
    switch self {
    case .sum, .vote: 1
    case .variance, .onlyDiff: 2
    case .sharing: 3
    case .election: 5
    }
  }

  /// Whether a change adds to its channel as it is, so that `MergeTerm.channelTerms` is empty.
  var isPlain: Bool { channels == 1 }

  /// Replaces the channels of each position by its number, and leaves out those that are zero.
  func finish(_ changes: inout MergedChanges) {
    switch self {
    case .sum(let scale): changes.multiply(by: scale)
    case .vote: changes.multiply(by: 1)
    case .election(let zeroIsPositive, let scale):
      changes.reduce(5) { sums in
        let isPositive = sums[0] > 0 || sums[0] == 0 && zeroIsPositive
        let (value, divisor) = isPositive ? (sums[1], sums[2]) : (sums[3], sums[4])
        return (divisor == 0 ? value : value / divisor) * scale
      }
    case .sharing(let scale):
      changes.reduce(3) { ($0[0] > 1 ? $0[1] / $0[0] : $0[2]) * scale }
    case .variance(let diffs):
      changes.reduce(2) { sums in
        let mean = sums[0] / Double(diffs)
        return max(0, sums[1] / Double(diffs) - mean * mean)
      }
    case .onlyDiff: changes.reduce(2) { $0[0] == 1 ? $0[1] : 0 }
    }
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
