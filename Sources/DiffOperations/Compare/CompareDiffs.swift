import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// The options of `compare`.
public struct CompareOptions: Sendable {
  /// The tolerance within which values of additive diffs, or elements of checkpoints, count as
  /// equal.
  public var tolerance = Tolerance()
  /// Maps names of the first to names of the second.
  public var names = NameMap()

  /// Creates the default options: bitwise comparison, names unmapped.
  public init() {}
}

extension Diffs {
  /// Compares the changes of diffs. Deltas are known for additive diffs, and for exact ones whose
  /// base is given.
  ///
  /// The changes of all diffs in a window of a tensor are sorted by position, which makes all
  /// changes of one position adjacent, so that only pairs that share a position take time.
  ///
  /// - Parameters:
  ///   - diffs: the diffs to compare.
  ///   - base: the base of the exact diffs, or nil.
  ///   - options: the tolerance and the map of names.
  /// - Throws: the errors of reading a diff; `wrong-base` with the name of a tensor; `mismatch`.
  /// - Complexity: O(changes + pairs of changes at one position), on all cores; memory for some
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

/// The overlap of two diffs in a tensor.
public struct DiffOverlap: Sendable {
  /// The tensor; nil for all tensors together.
  public var tensor: TensorName?
  /// The indices of the diffs.
  public var first, second: Int
  /// The number of positions that both change, and of those that one raises and the other lowers.
  public var shared, opposite: UInt64
  /// The norm of the changes in opposite directions, as a share of the norm of both diffs.
  public var oppositeNorm: Double
}

extension Diffs {
  /// Returns the overlap of each pair of additive diffs, tensor by tensor, or for more than 16
  /// diffs over all tensors together. Pairs without a shared position are left out.
  ///
  /// - Complexity: that of `compare`.
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

  /// Returns the overlap of each pair of diffs as they are merged: of tensors whose number of rows
  /// they change, that of the rows of the base.
  ///
  /// - Throws: the errors of `merge` and of reading.
  public static func overlaps(
    _ inputs: [MergeInput], _ options: MergeOptions
  ) throws(DiffError) -> [DiffOverlap] {
    guard let base = options.base else { return try overlaps(inputs.map(\.diff)) }
    return try overlaps(GrownMerge(inputs, on: base, options).additive().map(\.diff))
  }
}

extension Diffs {
  /// Returns the distribution of the deltas of an exact diff of float tensors, given its base.
  ///
  /// - Throws: `wrong-base` with the name of a tensor; the errors of reading.
  /// - Complexity: O(changes + bytes of the changed tensors).
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

/// Counts windows of tensors in parallel. The windows are dealt to a fixed number of counters whose
/// sums are added in order, so that results do not depend on the number of cores.
private struct Counting {
  let diffs: [DiffReader]
  let groups: [ChangeGroup]
  /// The counters: by tensor, or under 0 for all tensors.
  private var counters: [[Int: PairCounts]]
  private let empty: PairCounts
  private let windows: [(group: Int, window: Range<UInt64>)]
  /// True if tensors are counted separately.
  private let isByTensor: Bool

  init(diffs: [DiffReader], groups: [ChangeGroup], tolerance: Tolerance, isByTensor: Bool) {
    self.diffs = diffs
    self.groups = groups
    self.isByTensor = isByTensor
    empty = PairCounts(diffs: diffs.count, tolerance)
    counters = [[Int: PairCounts]](repeating: [:], count: diffs.count <= 128 ? 16 : 4)
    let limit = UInt64(max(1 << 19, diffs.count << 11))
    windows = groups.enumerated().flatMap { index, group in
      group.windows(limit: limit).map { (index, $0) }
    }
  }

  mutating func run() throws(DiffError) {
    let (diffs, groups, windows, isByTensor, empty) = (diffs, groups, windows, isByTensor, empty)
    let step = counters.count
    try parallelForEach(&counters) { first, counter throws(DiffError) in
      for index in stride(from: first, to: windows.count, by: step) {
        let (groupIndex, window) = windows[index]
        let group = groups[groupIndex]
        let changes = try group.changes(in: window, diffs)
        counter[isByTensor ? groupIndex : 0, default: empty].count(
          changes, group.kinds(diffs: diffs.count))
      }
    }
  }

  var total: PairCounts {
    (isByTensor ? Array(groups.indices) : [0]).reduce(into: empty) { $0.add(counts(under: $1)) }
  }

  func counts(under key: Int) -> PairCounts {
    counters.reduce(into: empty) { sum, counter in
      if let counts = counter[key] { sum.add(counts) }
    }
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
