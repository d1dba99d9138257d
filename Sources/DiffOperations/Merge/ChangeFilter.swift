import Algorithms
import DiffFormat
import Kernels
import TensorCore

/// The selection of a diff's changes to a tensor that take part in a merge: a function of each
/// change alone, so that pages can be processed in any order.
enum ChangeFilter: Sendable {
  case all
  case top(TopSet)
  /// The changes in the first set but not in the second.
  case between(TopSet, not: TopSet)
  /// Each change with a probability.
  case random(ChanceKey, Double)
  /// Each change with its own probability, in order; optionally divided by it.
  case ranked(ChanceKey, [Double], rescaling: Bool)
  /// The changes at these positions, in ascending order.
  case at([UInt64])

  /// Returns the indices of the changes that take part, and factors for them in addition to that of
  /// the term; no factors if all are 1.
  ///
  /// - Parameters:
  ///   - numbers: the numbers of the changes.
  ///   - ordinal: the index of the first change among all changes of the tensor.
  func select(
    _ changes: ChangeView<UInt8>, _ numbers: [Double], ordinal: Int
  ) -> (indices: [Int], factors: [Double]) {
    var indices: [Int] = []
    var factors: [Double] = []
    switch self {
    case .all: indices = Array(numbers.indices)
    case .top(let set):
      for i in numbers.indices where set.contains(numbers[i], at: changes.position(i)) {
        indices.append(i)
      }
    case .between(let outer, let inner):
      for i in numbers.indices {
        let position = changes.position(i)
        if outer.contains(numbers[i], at: position) && !inner.contains(numbers[i], at: position) {
          indices.append(i)
        }
      }
    case .random(let key, let probability):
      for i in numbers.indices where key.chance(at: changes.position(i)) < probability {
        indices.append(i)
      }
    case .ranked(let key, let probabilities, let rescaling):
      for i in numbers.indices {
        let probability = probabilities[ordinal + i]
        guard key.chance(at: changes.position(i)) < probability else { continue }
        indices.append(i)
        if rescaling { factors.append(1 / probability) }
      }
    case .at(let positions):
      var next = positions.partitioningIndex { $0 >= changes.start }
      for i in numbers.indices {
        let position = changes.position(i)
        while next < positions.count && positions[next] < position { next += 1 }
        if next < positions.count && positions[next] == position { indices.append(i) }
      }
    }
    return (indices, factors)
  }
}

/// The k largest magnitudes of a list; ties are broken by position.
struct TopSet: Sendable {
  /// The magnitude above which changes are in the set; equal ones are if their position is below
  /// `tieEnd`.
  var cut: Double
  var tieEnd: UInt64

  /// The set of all changes.
  static let all = TopSet(cut: -1, tieEnd: .max)
  /// The empty set.
  static let none = TopSet(cut: .infinity, tieEnd: 0)

  func contains(_ value: Double, at position: UInt64) -> Bool {
    let magnitude = value.magnitude
    return magnitude > cut || magnitude == cut && position < tieEnd
  }

  /// Creates the set of the `count` largest changes, which are given in order of positions.
  ///
  /// - Complexity: O(n log n).
  init(_ count: UInt64, of magnitudes: [Double], at positions: [UInt64]) {
    guard count > 0 else {
      self = .none
      return
    }
    guard count < UInt64(magnitudes.count) else {
      self = .all
      return
    }
    let cut = magnitudes.sorted(by: >)[Int(count) - 1]
    var left = count - UInt64(magnitudes.count { $0 > cut })
    var end: UInt64 = 0
    for i in magnitudes.indices where magnitudes[i] == cut {
      guard left > 0 else { break }
      left -= 1
      end = positions[i] + 1
    }
    self.init(cut: cut, tieEnd: end)
  }

  init(cut: Double, tieEnd: UInt64) {
    self.cut = cut
    self.tieEnd = tieEnd
  }
}

/// The source of random numbers for one diff and tensor, which depend only on seed, tensor,
/// position and the contents of the diff.
struct ChanceKey: Sendable {
  private let key: UInt64

  init(seed: UInt64, diff: DrawIdentity, tensor: TensorName.Key) {
    key = XXH3.hash64((seed.littleEndianBytes + diff.bytes + Array(tensor.utf8)).span)
  }

  /// Returns a uniform number in 0..<1: the number of SplitMix64, seeded with the key, at index
  /// `position`.
  func chance(at position: UInt64) -> Double {
    var generator = SplitMix64(seed: key &+ position &* 0x9E37_79B9_7F4A_7C15)
    return generator.unit()
  }
}

// The selection and rescaling of a diff's changes to a tensor.
extension MergeTerm {
  /// Returns ⌊share × n⌋, where n is the number of elements or nonzeros.
  private func count(
    _ share: Double, _ base: DensityBase, _ shape: Shape, nonzeros: Int
  ) -> UInt64 {
    share.portion(of: base == .elements ? shape.count : UInt64(nonzeros))
  }

  /// Returns whether a density of elements keeps everything, since no more elements change.
  func isSparser(than density: Double, in shape: Shape) -> Bool {
    density.portion(of: shape.count) >= additions.entry.count
  }

  /// Returns whether a method that keeps a share of the elements keeps all changes.
  func keepsAll(of shape: Shape, _ method: MergeMethod) -> Bool {
    let dropsLargest = method.selection == .middle && gamma.portion(of: shape.count) > 0
    return isSparser(than: density, in: shape) && !dropsLargest
  }

  /// Returns all nonzero changes, in order.
  private func gather() throws(DiffError) -> (positions: [UInt64], magnitudes: [Double]) {
    var positions: [UInt64] = []
    var magnitudes: [Double] = []
    try additions.forEachPage { changes, numbers throws(DiffError) in
      for i in numbers.indices where numbers[i] != 0 {
        positions.append(changes.position(i))
        magnitudes.append(numbers[i].magnitude)
      }
    }
    return (positions, magnitudes)
  }

  /// Selects the changes of TIES, tensor by tensor.
  mutating func selectLargest(_ shape: Shape, _ options: MergeOptions) throws(DiffError) {
    let base = options.usedDensityOf
    guard density < 1 else { return }
    // There are no more changes than the density keeps.
    if base == .elements, isSparser(than: density, in: shape) { return }
    let changes = try gather()
    var wanted = count(density, base, shape, nonzeros: changes.positions.count)
    if options.variant == .mergekit { wanted = max(1, wanted) }
    filter = .top(TopSet(wanted, of: changes.magnitudes, at: changes.positions))
  }

  /// Selects the changes of breadcrumbs.
  mutating func selectMiddle(_ shape: Shape, _ options: MergeOptions) throws(DiffError) {
    let base = options.usedDensityOf
    guard density < 1 else { return }
    let changes = try gather()
    let nonzeros = changes.positions.count
    let kept = count(density, base, shape, nonzeros: nonzeros)
    let whole = base == .elements ? shape.count : UInt64(nonzeros)
    let top = min(count(gamma, base, shape, nonzeros: nonzeros), whole - kept)
    filter = .between(
      TopSet(top + kept, of: changes.magnitudes, at: changes.positions),
      not: TopSet(top, of: changes.magnitudes, at: changes.positions))
  }

  /// Selects the changes of DARE. For a density of elements, the expected number of kept changes is
  /// d times the number of elements, if there are as many changes.
  mutating func selectAtRandom(_ shape: Shape, _ options: MergeOptions, _ key: ChanceKey) {
    var probability = density
    if options.usedDensityOf == .elements {
      probability = min(1, density * Double(shape.count) / Double(max(1, additions.entry.count)))
    }
    guard probability < 1 else { return }
    filter = .random(key, probability)
    if options.usedRescale == .inverseDensity { factor /= probability }
  }

  /// Selects the changes of DELLA. Of equal magnitudes, the later position has the higher rank. The
  /// probability is d in a row with only one rank.
  mutating func selectByRank(
    _ shape: Shape, _ options: MergeOptions, _ key: ChanceKey
  ) throws(DiffError) {
    let base = options.usedDensityOf
    guard density < 1 else { return }
    let rowLength = max(1, shape.rowLength)
    var positions: [UInt64] = []
    var magnitudes: [Double] = []
    try additions.forEachPage { changes, numbers throws(DiffError) in
      positions.append(contentsOf: changes)
      magnitudes += numbers.map(\.magnitude)
    }
    var probabilities = [Double](repeating: density, count: positions.count)
    var start = 0
    while start < positions.count {
      let row = positions[start] / rowLength
      var end = start + 1
      while end < positions.count && positions[end] / rowLength == row { end += 1 }
      let order = (start..<end).sorted { (magnitudes[$0], $0) < (magnitudes[$1], $1) }
      let ranks = base == .elements ? rowLength : UInt64(order.count)
      // Unchanged elements have the lowest ranks.
      let below = ranks - UInt64(order.count)
      for (rank, index) in order.enumerated() where ranks > 1 {
        let fraction = Double(below + UInt64(rank)) / Double(ranks - 1)
        probabilities[index] = density - epsilon + 2 * epsilon * fraction
      }
      start = end
    }
    filter = .ranked(key, probabilities, rescaling: options.usedRescale == .inverseDensity)
  }

  /// Rescales the kept changes so that the sum of magnitudes is preserved; does nothing if none is
  /// kept.
  mutating func rescaleToL1() throws(DiffError) {
    if case .all = filter { return }
    var before = 0.0
    var after = 0.0
    var ordinal = 0
    try additions.forEachPage { changes, numbers throws(DiffError) in
      for number in numbers { before += number.magnitude }
      let kept = filter.select(changes, numbers, ordinal: ordinal)
      for index in kept.indices { after += numbers[index].magnitude }
      ordinal += numbers.count
    }
    if after > 0 { factor *= before / after }
  }
}
