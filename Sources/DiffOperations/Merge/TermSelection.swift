import DiffFormat
import TensorCore

// Which changes of a diff to a tensor take part, and how they are rescaled.
extension MergeTerm {
  /// ⌊share × n⌋, n being elements or nonzeros.
  private func count(
    _ share: Double, _ base: DensityBase, _ shape: Shape, nonzeros: Int
  ) -> UInt64 {
    let whole = base == .elements ? Double(shape.count) : Double(nonzeros)
    return UInt64((share * whole).rounded(.down))
  }

  /// All changes that are not zero, in order.
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

  /// TIES, tensor by tensor.
  mutating func selectLargest(_ shape: Shape, _ options: MergeOptions) throws(DiffError) {
    let (share, base) = options.selectionDensity
    guard share < 1 else { return }
    // What is not there need not be trimmed.
    if base == .elements, count(share, base, shape, nonzeros: 0) >= additions.entry.count { return }
    let changes = try gather()
    var wanted = count(share, base, shape, nonzeros: changes.positions.count)
    if options.variant == .mergekit { wanted = max(1, wanted) }
    filter = .top(TopSet(wanted, of: changes.magnitudes, at: changes.positions))
  }

  /// Breadcrumbs.
  mutating func selectMiddle(_ shape: Shape, _ options: MergeOptions) throws(DiffError) {
    let (share, base) = options.selectionDensity
    guard share < 1 else { return }
    let changes = try gather()
    let nonzeros = changes.positions.count
    let kept = count(share, base, shape, nonzeros: nonzeros)
    let whole = base == .elements ? shape.count : UInt64(nonzeros)
    let top = min(count(options.gamma, base, shape, nonzeros: nonzeros), whole - kept)
    filter = .between(
      TopSet(top + kept, of: changes.magnitudes, at: changes.positions),
      not: TopSet(top, of: changes.magnitudes, at: changes.positions))
  }

  /// DARE. Of elements: so that ⌈d n⌉ of the tensor's elements are expected to stay, if there are
  /// as many changes.
  mutating func selectAtRandom(_ shape: Shape, _ options: MergeOptions, _ key: ChanceKey) {
    let (share, base) = options.selectionDensity
    var probability = share
    if base == .elements {
      probability = min(1, share * Double(shape.count) / Double(max(1, additions.entry.count)))
    }
    guard probability < 1 else { return }
    filter = .random(key, probability)
    if options.usedRescale == .inverseDensity { factor /= probability }
  }

  /// DELLA: among equal magnitudes the later position has the higher rank. A row with one rank
  /// only has the probability d.
  mutating func selectByRank(
    _ shape: Shape, _ options: MergeOptions, _ key: ChanceKey
  ) throws(DiffError) {
    let (share, base) = options.selectionDensity
    guard share < 1 else { return }
    let rowLength = max(1, shape.rowLength)
    var positions: [UInt64] = []
    var magnitudes: [Double] = []
    try additions.forEachPage { changes, numbers throws(DiffError) in
      positions.append(contentsOf: changes)
      magnitudes += numbers.map(\.magnitude)
    }
    var probabilities = [Double](repeating: share, count: positions.count)
    var start = 0
    while start < positions.count {
      let row = positions[start] / rowLength
      var end = start + 1
      while end < positions.count && positions[end] / rowLength == row { end += 1 }
      let order = (start..<end).sorted { (magnitudes[$0], $0) < (magnitudes[$1], $1) }
      let ranks = base == .elements ? rowLength : UInt64(order.count)
      // Elements that do not change have the lowest ranks.
      let below = ranks - UInt64(order.count)
      for (rank, index) in order.enumerated() where ranks > 1 {
        let place = Double(below + UInt64(rank)) / Double(ranks - 1)
        probabilities[index] = share - options.epsilon + 2 * options.epsilon * place
      }
      start = end
    }
    filter = .ranked(key, probabilities, rescaling: options.usedRescale == .inverseDensity)
  }

  /// Makes up for what the filter drops, so that the sum of magnitudes stays; if nothing is left,
  /// nothing is done.
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
