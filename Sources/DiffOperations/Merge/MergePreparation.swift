import DiffFormat
import SystemSupport
import TensorCore

/// Prepares the terms of a tensor for a method: selects the changes that take part, and sets their
/// factors.
struct MergePreparation {
  let all: MergeInputs
  let options: MergeOptions
  /// For TIES over whole diffs: the changes that each diff keeps of all tensors.
  var wholeSets: [TopSet] = []
  /// For RAM+ over whole diffs: the factors of changes that only one diff makes.
  var soloFactors: [Double] = []
  /// The engines for passes over one tensor, by combination.
  private var engines: [Combination: MergeEngine] = [:]

  init(_ all: MergeInputs, _ options: MergeOptions) {
    self.all = all
    self.options = options
  }

  /// Selects the changes that take part, and rescales them.
  mutating func select(_ tensor: inout MergeTensor) throws(DiffError) {
    if options.method == .sce { return try selectByVariance(&tensor) }
    if options.method.selection == .all { return }
    let (all, options, sets) = (all, options, wholeSets)
    let (shape, key) = (tensor.shape, tensor.key)
    try parallelForEach(&tensor.terms) { _, term throws(DiffError) in
      func chance() -> ChanceKey {
        ChanceKey(seed: options.seed, diff: all.draws[term.diff], tensor: key)
      }
      switch options.method.selection {
      case .all, .variance: break
      case .largest where !sets.isEmpty: term.filter = .top(sets[term.diff])
      case .largest: try term.selectLargest(shape, options)
      case .random: term.selectAtRandom(shape, options, chance())
      case .ranked: try term.selectByRank(shape, options, chance())
      case .middle: try term.selectMiddle(shape, options)
      }
      if options.usedRescale == .l1 { try term.rescaleToL1() }
    }
  }

  /// Sets the weights of the terms for a combination.
  ///
  /// - Complexity: O(diffs); O(changes) for methods that depend on all changes of a tensor.
  mutating func weigh(
    _ tensor: inout MergeTensor, for combination: Combination
  ) throws(DiffError) {
    switch combination {
    case .sum:
      let common = try commonFactor(tensor)
      for index in tensor.terms.indices {
        tensor.terms[index].factor *= tensor.terms[index].weight * common
      }
    case .vote:
      guard options.variant == .mergekit else { return }
      for index in tensor.terms.indices {
        tensor.terms[index].factor *= tensor.terms[index].weight
      }
    case .election: try weighElection(&tensor)
    case .sharing:
      let factors = try soloFactors(of: tensor)
      for index in tensor.terms.indices {
        let weight = tensor.terms[index].weight
        let solo = factors.isEmpty ? 1 : factors[tensor.terms[index].diff]
        tensor.terms[index].setTerms([(1, 0, 0), (0, weight, 0), (0, weight * solo, 0)])
      }
    case .variance, .products:
      for index in tensor.terms.indices {
        tensor.terms[index].setTerms([(0, 1, 0), (0, 0, 1)])
      }
    case .onlyDiff:
      for index in tensor.terms.indices {
        tensor.terms[index].setTerms([(1, 0, 0), (Double(tensor.terms[index].diff + 1), 0, 0)])
      }
    }
  }

  /// Returns the common factor of all terms of a sum.
  private mutating func commonFactor(_ tensor: MergeTensor) throws(DiffError) -> Double {
    if options.method == .modelStock { return try stockFactor(tensor) }
    guard options.usesNormalization, !tensor.terms.isEmpty else { return 1 }
    guard !tensor.weights.isNothing else {
      throw .weightsCancel(tensor.weights.sum, in: tensor.name)
    }
    return 1 / tensor.weights.sum
  }

  private mutating func weighElection(_ tensor: inout MergeTensor) throws(DiffError) {
    let variance = options.method == .sce ? try meanSquares(tensor) : []
    let divides = options.method == .sce || options.usesNormalization
    if options.variant == .mergekit, options.method != .sce, divides {
      tensor.leastDivisor = tensor.weights.leastDivisor
    }
    for index in tensor.terms.indices {
      var weight = tensor.terms[index].weight
      var vote = 1.0
      var divisor = divides ? 1.0 : 0
      if options.method == .sce {
        weight = variance[index]
        divisor = weight
      } else if options.variant == .mergekit {
        vote = weight
        if divides { divisor = weight }
      }
      // With votes w_t δ_t, a negative weight reverses the sign of the vote.
      let raises: [(Double, Double, Double)] = [
        (0, vote, 0), (0, weight, 0), (divisor, 0, 0), (0, 0, 0), (0, 0, 0),
      ]
      let lowers = [raises[0], raises[3], raises[4], raises[1], raises[2]]
      tensor.terms[index].setTerms(vote < 0 ? lowers : raises, vote < 0 ? raises : lowers)
    }
  }

  /// Makes a pass over one tensor whose terms are prepared; calls `body` with the parts in order.
  mutating func pass(
    _ tensor: MergeTensor, _ combination: Combination,
    _ body: (MergedPart) throws(DiffError) -> Void
  ) throws(DiffError) {
    let engine = engines[combination] ?? MergeEngine(combination)
    engines[combination] = engine
    for window in tensor.windows(limit: all.windowLimit) {
      for part in try engine.merge(window, of: tensor) { try body(part) }
    }
  }
}

extension MergeTerm {
  /// Sets the terms that a change adds to each channel; negative changes have the same terms by
  /// default.
  fileprivate mutating func setTerms(
    _ raises: [(Double, Double, Double)], _ lowers: [(Double, Double, Double)]? = nil
  ) {
    channelTerms = (raises + (lowers ?? raises)).flatMap { [$0.0, $0.1, $0.2] }
  }
}

// Quantities of all changes to a tensor that methods need before they merge it.
extension MergePreparation {
  // MARK: Model stock

  /// Returns t / N. The sum of the cosines of all pairs of deltas is that of the products of unit
  /// deltas, half of (Σ u_t)² − Σ u_t² at each position: O(changes), independent of the number of
  /// pairs. It is exactly zero if no two diffs share a position, and counts as zero if it is within
  /// its rounding errors.
  mutating func stockFactor(_ tensor: MergeTensor) throws(DiffError) -> Double {
    var units = tensor
    for (index, term) in tensor.terms.enumerated() {
      var square = 0.0
      try term.additions.forEachPage { _, numbers throws(DiffError) in
        for number in numbers { square += number * number }
      }
      units.terms[index].factor = square > 0 ? 1 / square.squareRoot() : 0
    }
    try weigh(&units, for: .products)
    var (products, magnitudes, shared) = (0.0, 0.0, 0)
    try pass(units, .products) { part throws(DiffError) in
      let sums = part.sums
      for i in sums.indices {
        products += sums[i]
        magnitudes += sums[i].magnitude
      }
      shared += sums.count
    }
    guard products.magnitude > Double(shared + 1) * 0x1p-52 * magnitudes else { return 0 }
    let count = Double(tensor.participants)
    let cosine = products / (count * (count - 1))
    let denominator = 1 + (count - 1) * cosine
    guard denominator.magnitude >= 1e-6 else { return 0 }
    return count * cosine / denominator / count
  }

  // MARK: RAM+

  /// Returns the factor of the changes that only one diff makes, for each diff; empty for RAM.
  mutating func soloFactors(of tensor: MergeTensor) throws(DiffError) -> [Double] {
    guard options.method == .ramPlus, options.variant == .mergekit else { return soloFactors }
    var counts = SoloCounts(diffs: all.inputs.count)
    try count(tensor, into: &counts)
    return counts.factors(options)
  }

  /// Counts the changes of each diff, and those that no other diff makes.
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

  /// Selects the positions with the largest variances: ⌊d n⌋, where n is the number of positions
  /// with a variance, or of all elements.
  mutating func selectByVariance(_ tensor: inout MergeTensor) throws(DiffError) {
    let share = options.density ?? 1
    guard share < 1 else { return }
    let variance = Combination.variance(diffs: tensor.participants)
    try weigh(&tensor, for: variance)
    var positions: [UInt64] = []
    var variances: [Double] = []
    try pass(tensor, variance) { part throws(DiffError) in
      let changes = part.changes
      positions.append(contentsOf: changes)
      for i in changes.values.indices { variances.append(changes.values[i]) }
    }
    let whole =
      options.usedDensityOf == .elements ? tensor.shape.count : UInt64(positions.count)
    let set = TopSet(share.portion(of: whole), of: variances, at: positions)
    let kept = positions.indices.filter { set.contains(variances[$0], at: positions[$0]) }
      .map { positions[$0] }
    for index in tensor.terms.indices { tensor.terms[index].filter = .at(kept) }
  }

  /// Returns the sum of δ² of the selected changes of each term / the sum over all terms, which
  /// equals the ratio of mean squares; 1 for each term if all sums are zero.
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

/// The numbers of changes of each diff, and of those that no other diff makes.
struct SoloCounts {
  /// The number of changes, and of those at positions that no other diff changes.
  var changes, alone: [Int]

  init(diffs: Int) {
    changes = [Int](repeating: 0, count: diffs)
    alone = changes
  }

  /// Returns 1 + r · min(ρ, α) for each diff, where ρ = shared / alone, infinite if all changes are
  /// shared.
  func factors(_ options: MergeOptions) -> [Double] {
    zip(changes, alone).map { changes, alone in
      let shared = Double(changes - alone)
      let ratio = shared == 0 ? 0 : shared / Double(alone)
      return 1 + options.ramRate * min(ratio, options.ramLimit)
    }
  }
}
