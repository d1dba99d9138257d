import DiffFormat
import TensorCore

// What methods must know of all changes to a tensor before they merge it.
extension MergePreparation {
  // MARK: Model stock

  /// t / N. The sum over all pairs of cosines of deltas is half of |Σ δ_t/|δ_t||² less the number
  /// of deltas that are not zero: O(changes), however many the pairs.
  mutating func stockFactor(_ tensor: MergeTensor) throws(DiffError) -> Double {
    var units = tensor
    var squares = [Double](repeating: 0, count: tensor.terms.count)
    for (index, term) in tensor.terms.enumerated() {
      try term.additions.forEachPage { _, numbers throws(DiffError) in
        for number in numbers { squares[index] += number * number }
      }
      units.terms[index].factor = squares[index] > 0 ? 1 / squares[index].squareRoot() : 0
    }
    var square = 0.0
    try pass(units, .sum(scale: 1)) { part throws(DiffError) in
      let sums = part.sums
      for i in sums.indices { square += sums[i] * sums[i] }
    }
    let count = Double(all.inputs.count)
    let pairs = (square - Double(squares.count { $0 > 0 })) / 2
    let cosine = pairs / (count * (count - 1) / 2)
    let denominator = 1 + (count - 1) * cosine
    guard denominator.magnitude >= 1e-6 else { return 0 }
    return count * cosine / denominator / count
  }

  // MARK: RAM+

  /// What multiplies the changes that one diff alone makes, for each diff; empty for RAM.
  mutating func soloFactors(of tensor: MergeTensor) throws(DiffError) -> [Double] {
    guard options.method == .ramPlus, options.variant == .mergekit else { return soloFactors }
    var counts = SoloCounts(diffs: all.inputs.count)
    try count(tensor, into: &counts)
    return counts.factors(options)
  }

  /// Counts, for each diff, its changes and those that no other makes.
  mutating func count(
    _ tensor: MergeTensor, into counts: inout SoloCounts
  ) throws(DiffError) {
    var tensor = tensor
    try weigh(&tensor, for: .onlyDiff)
    for term in tensor.terms {
      try term.additions.forEachPage { _, numbers throws(DiffError) in
        counts.changes[term.diff] += numbers.count { $0 != 0 }
      }
    }
    var alone = counts.alone
    try pass(tensor, .onlyDiff) { part throws(DiffError) in
      let diffs = part.sums
      for i in diffs.indices { alone[Int(diffs[i]) - 1] += 1 }
    }
    counts.alone = alone
  }

  // MARK: SCE

  /// Lets those positions take part whose variance is among the largest: ⌊d n⌋ of the n positions
  /// with a variance, or of all elements.
  mutating func selectByVariance(_ tensor: inout MergeTensor) throws(DiffError) {
    let (share, base) = options.selectionDensity
    guard share < 1 else { return }
    let variance = Combination.variance(diffs: all.inputs.count)
    try weigh(&tensor, for: variance)
    var positions: [UInt64] = []
    var variances: [Double] = []
    try pass(tensor, variance) { part throws(DiffError) in
      let changes = part.changes
      positions.append(contentsOf: changes)
      for i in changes.values.indices { variances.append(changes.values[i]) }
    }
    let whole = base == .elements ? Double(tensor.shape.count) : Double(positions.count)
    let set = TopSet(UInt64((share * whole).rounded(.down)), of: variances, at: positions)
    let kept = positions.indices.filter { set.contains(variances[$0], at: positions[$0]) }
      .map { positions[$0] }
    for index in tensor.terms.indices { tensor.terms[index].filter = .at(kept) }
  }

  /// The sum of δ² of each term where it takes part, over the sum of all: mean squares have the
  /// same quotients. Equal ones, if there is nothing to compare.
  func meanSquares(_ tensor: MergeTensor) throws(DiffError) -> [Double] {
    var squares: [Double] = []
    for term in tensor.terms {
      var sum = 0.0
      var ordinal = 0
      try term.additions.forEachPage { changes, numbers throws(DiffError) in
        let kept = term.filter.select(changes, numbers, ordinal: ordinal)
        for index in kept.indices { sum += numbers[index] * numbers[index] }
        ordinal += numbers.count
      }
      squares.append(sum)
    }
    let total = squares.reduce(0, +)
    return total > 0 ? squares.map { $0 / total } : squares.map { _ in 1 }
  }
}

/// How much of a diff is its own.
struct SoloCounts {
  /// Changes, and those at positions that no other diff changes.
  var changes, alone: [Int]

  init(diffs: Int) {
    changes = [Int](repeating: 0, count: diffs)
    alone = changes
  }

  /// 1 + r · min(ρ, α), ρ = shared / alone; infinite if nothing is alone, but something is shared.
  func factors(_ options: MergeOptions) -> [Double] {
    zip(changes, alone).map { changes, alone in
      let shared = Double(changes - alone)
      let ratio = shared == 0 ? 0 : shared / Double(alone)
      return 1 + options.ramRate * min(ratio, options.ramLimit)
    }
  }
}
