import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// How `compare` works.
public struct CompareOptions: Sendable {
  /// When values of additive diffs, or elements of checkpoints, count as equal.
  public var tolerance = Tolerance()
  /// What the tensors of the first are called in the second.
  public var names = NameMap()

  /// The defaults: bit by bit, names as they are.
  public init() {}
}

extension Diffs {
  /// Compares diffs by what they change. Deltas are known of additive diffs, and of exact ones with
  /// the base that they were made for.
  ///
  /// All changes of a window of a tensor, of all diffs, are sorted by position; whatever changes one
  /// position then stands together, so that only pairs that share a position cost anything.
  ///
  /// - Parameter base: the checkpoint that the exact diffs were made for, or nil.
  /// - Throws: what reading a diff throws; `wrong-base` with the name of a tensor; `mismatch`.
  /// - Complexity: O(changes + pairs of changes at one position), on all cores, in memory of some
  ///   windows of half a million changes and O(diffs²) counters.
  public static func compare(
    _ diffs: [DiffReader], base: (any Checkpoint)? = nil,
    _ options: CompareOptions = CompareOptions()
  ) throws(DiffError) -> DiffComparison {
    let (groups, notes) = try group(diffs, base, options.names)
    var counting = Counting(
      diffs: diffs, groups: groups, tolerance: options.tolerance, isByTensor: diffs.count == 2)
    try counting.run()
    let counts = counting.total
    var changes = [UInt64](repeating: 0, count: diffs.count)
    var areKnown = [Bool](repeating: true, count: diffs.count)
    for group in groups {
      for (diff, entry) in group.entries {
        changes[diff] += entry.count
        if entry.count > 0 && group.kind(of: entry) != .delta { areKnown[diff] = false }
      }
    }
    var comparison = DiffComparison(
      changes: changes,
      squares: zip(counts.squares, areKnown).map { $1 ? $0 : nil },
      differing: counts.differences, notes: notes, pairs: counts.pairs)
    if diffs.count == 2 { comparison.tensors = counting.tensors }
    return comparison
  }
}

/// What two diffs have in common in a tensor.
public struct DiffOverlap: Sendable {
  /// The tensor; nil for all together.
  public var tensor: TensorName?
  /// The numbers of the diffs.
  public var first, second: Int
  /// Positions that both change, and those that one raises and the other lowers.
  public var shared, opposite: UInt64
  /// The share that changes in opposite directions have of the norm of both.
  public var oppositeNorm: Double
}

extension Diffs {
  /// What any two of several additive diffs have in common, tensor by tensor; of more than 16 diffs in
  /// all tensors together. Pairs that share nothing are left out.
  ///
  /// - Complexity: as `compare`.
  public static func overlaps(_ diffs: [DiffReader]) throws(DiffError) -> [DiffOverlap] {
    let groups = try group(diffs, nil, NameMap()).groups
    let isByTensor = diffs.count <= 16
    var counting = Counting(
      diffs: diffs, groups: groups, tolerance: Tolerance(), isByTensor: isByTensor)
    try counting.run()
    var overlaps: [DiffOverlap] = []
    for key in isByTensor ? Array(groups.indices) : [0] {
      let counts = counting.counts(under: key)
      for first in diffs.indices {
        for second in diffs.indices where second > first {
          let pair = counts.pairs[first * diffs.count + second]
          guard pair.shared > 0 else { continue }
          let squares = counts.squares[first] + counts.squares[second]
          overlaps.append(
            DiffOverlap(
              tensor: isByTensor ? groups[key].name : nil, first: first, second: second,
              shared: pair.shared, opposite: pair.signed - pair.agreeing,
              oppositeNorm: squares > 0 ? (pair.opposing / squares).squareRoot() : 0))
        }
      }
    }
    return overlaps
  }
}

extension Diffs {
  /// How the deltas of an exact diff of float tensors are distributed, its base being at hand.
  ///
  /// - Throws: `wrong-base` with the name of a tensor; what reading throws.
  /// - Complexity: O(changes + bytes of the tensors that they are in).
  public static func magnitudes(
    of diff: DiffReader, base: any Checkpoint, names: NameMap = NameMap()
  ) throws(DiffError) -> ValueDistribution {
    var all = ValueDistribution()
    for group in try group([diff], base, names).groups where group.type.float != nil {
      for window in group.windows(limit: 1 << 19) {
        all.add(try group.changes(in: window, [diff]).map(\.number))
      }
    }
    return all
  }
}

/// The work of counting: windows of tensors, dealt to lanes whose sums are added in order, so that
/// they do not depend on the number of cores.
private struct Counting {
  let diffs: [DiffReader]
  let groups: [ChangeGroup]
  /// Of each lane, what it has counted: by tensor, or under 0 in all.
  private var lanes: [[Int: PairCounts]]
  private let empty: PairCounts
  private let windows: [(group: Int, window: Range<UInt64>)]
  /// Whether tensors are counted apart.
  private let isByTensor: Bool

  init(diffs: [DiffReader], groups: [ChangeGroup], tolerance: Tolerance, isByTensor: Bool) {
    self.diffs = diffs
    self.groups = groups
    self.isByTensor = isByTensor
    empty = PairCounts(diffs: diffs.count, tolerance)
    lanes = [[Int: PairCounts]](repeating: [:], count: diffs.count <= 128 ? 16 : 4)
    let limit = UInt64(max(1 << 19, diffs.count << 11))
    windows = groups.enumerated().flatMap { index, group in
      group.windows(limit: limit).map { (index, $0) }
    }
  }

  mutating func run() throws(DiffError) {
    let (diffs, groups, windows, isByTensor, empty) = (diffs, groups, windows, isByTensor, empty)
    let step = lanes.count
    try parallelForEach(&lanes) { first, lane throws(DiffError) in
      for index in stride(from: first, to: windows.count, by: step) {
        let (number, window) = windows[index]
        let group = groups[number]
        let changes = try group.changes(in: window, diffs)
        lane[isByTensor ? number : 0, default: empty].count(
          changes, group.kinds(diffs: diffs.count))
      }
    }
  }

  var total: PairCounts {
    (isByTensor ? Array(groups.indices) : [0]).reduce(into: empty) { $0.add(counts(under: $1)) }
  }

  func counts(under key: Int) -> PairCounts {
    lanes.reduce(into: empty) { sum, lane in if let counts = lane[key] { sum.add(counts) } }
  }

  var tensors: [DiffComparison.Tensor] {
    groups.enumerated().map { index, group in
      let counts = counts(under: index)
      var pair = DiffComparison.Pair()
      var squares = [Double.nan, .nan]
      var changes: [UInt64] = [0, 0]
      for (diff, entry) in group.entries {
        changes[diff] = entry.count
        if group.kind(of: entry) == .delta { squares[diff] = counts.squares[diff] }
      }
      (pair.changes, pair.squares) = ((changes[0], changes[1]), (squares[0], squares[1]))
      (pair.shared, pair.signed) = (counts.pairs[1].shared, counts.pairs[1].signed)
      (pair.agreeing, pair.dot) = (counts.pairs[1].agreeing, counts.pairs[1].dot)
      return DiffComparison.Tensor(
        name: group.name, elements: group.shape.count, pair: pair,
        differing: counts.differences[1])
    }
  }
}
