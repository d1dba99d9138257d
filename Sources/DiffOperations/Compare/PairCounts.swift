/// The counts for pairs of diffs, position by position.
struct PairCounts: Sendable {
  /// The counts for two diffs: shared positions; those where both deltas are known and nonzero;
  /// those of equal sign; the sum of the products of deltas; the sum of the squares of both where
  /// the signs differ.
  struct Pair: Sendable {
    var shared: UInt64 = 0
    var signed: UInt64 = 0
    var agreeing: UInt64 = 0
    var dot = 0.0
    var opposing = 0.0
  }

  /// A row-major matrix, of which only the elements above the diagonal are used.
  var pairs: [Pair]
  /// The sum of the squares of the deltas of each diff.
  var squares: [Double]
  /// For each diff, the number of positions whose values differ from the first diff's, less `far`.
  private var differing: [Int]
  /// The number of positions whose values in the first diff differ from no change.
  private var far = 0
  private let tolerance: Tolerance

  init(diffs: Int, _ tolerance: Tolerance) {
    pairs = [Pair](repeating: Pair(), count: diffs * diffs)
    squares = [Double](repeating: 0, count: diffs)
    differing = [Int](repeating: 0, count: diffs)
    self.tolerance = tolerance
  }

  /// For each diff, the number of positions whose values differ from the first diff's.
  var differences: [UInt64] {
    differing.enumerated().map { $0 == 0 ? 0 : UInt64(max(0, $1 + far)) }
  }

  mutating func add(_ other: PairCounts) {
    for i in pairs.indices {
      pairs[i].shared += other.pairs[i].shared
      pairs[i].signed += other.pairs[i].signed
      pairs[i].agreeing += other.pairs[i].agreeing
      pairs[i].dot += other.pairs[i].dot
      pairs[i].opposing += other.pairs[i].opposing
    }
    for i in squares.indices {
      squares[i] += other.squares[i]
      differing[i] += other.differing[i]
    }
    far += other.far
  }

  /// Counts the changes in a window of one tensor, which are sorted by position, then by diff.
  ///
  /// - Complexity: O(changes + pairs that share a position).
  mutating func count(_ changes: [Change], _ kinds: [ChangeKind?]) {
    let changes = changes.span
    var start = 0
    while start < changes.count {
      var end = start + 1
      while end < changes.count && changes[end].offset == changes[start].offset { end += 1 }
      let run = changes.extracting(start..<end)
      compareWithFirst(run, kinds)
      if end - start > 1 { countPairs(run, kinds) }
      start = end
    }
  }

  private mutating func countPairs(_ run: Span<Change>, _ kinds: [ChangeKind?]) {
    let count = squares.count
    for i in 0..<run.count - 1 {
      let one = run[i]
      let row = Int(one.diff) * count
      let isNumber = kinds[Int(one.diff)] == .delta
      let value = one.number
      for j in i + 1..<run.count {
        let other = run[j]
        let index = row + Int(other.diff)
        pairs[index].shared += 1
        guard isNumber, kinds[Int(other.diff)] == .delta else { continue }
        let theirs = other.number
        pairs[index].dot += value * theirs
        guard value != 0, theirs != 0 else { continue }
        pairs[index].signed += 1
        if (value < 0) == (theirs < 0) {
          pairs[index].agreeing += 1
        } else {
          pairs[index].opposing += value * value + theirs * theirs
        }
      }
    }
  }

  private mutating func compareWithFirst(_ run: Span<Change>, _ kinds: [ChangeKind?]) {
    let first = run[0].diff == 0 ? run[0] : nil
    let isFar = first.map { isDifferent($0, nil, kinds) } ?? false
    if isFar { far += 1 }
    for index in (first == nil ? 0 : 1)..<run.count {
      let other = run[index]
      if kinds[Int(other.diff)] == .delta {
        squares[Int(other.diff)] += other.number * other.number
      }
      differing[Int(other.diff)] +=
        (isDifferent(first, other, kinds) ? 1 : 0) - (isFar ? 1 : 0)
    }
    if let first, kinds[0] == .delta { squares[0] += first.number * first.number }
  }

  /// Returns whether two changes, one of which may be absent, leave different values.
  private func isDifferent(_ one: Change?, _ other: Change?, _ kinds: [ChangeKind?]) -> Bool {
    let kind = (one ?? other).flatMap { kinds[Int($0.diff)] }
    if let one, let other {
      guard kinds[Int(one.diff)] == kinds[Int(other.diff)] else { return true }
      if one.bits == other.bits { return false }
    }
    guard kind == .delta else { return true }
    return !tolerance.areClose(one?.number ?? 0, other?.number ?? 0)
  }
}
