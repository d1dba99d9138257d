import DiffFormat
import SystemSupport
import TensorCore

/// Makes the terms of a tensor what a method says: which changes take part, and what they are
/// multiplied with.
struct MergePreparation {
  let all: MergeInputs
  let options: MergeOptions
  /// TIES over whole diffs: what each diff keeps of all tensors.
  var wholeSets: [TopSet] = []
  /// RAM+ over whole diffs: what multiplies what a diff alone changes.
  var soloFactors: [Double] = []
  /// Passes over one tensor, for methods that need them.
  private var engines: [Combination: MergeEngine] = [:]

  init(_ all: MergeInputs, _ options: MergeOptions) {
    self.all = all
    self.options = options
  }

  /// Chooses which changes take part, and rescales them.
  mutating func select(_ tensor: inout MergeTensor) throws(DiffError) {
    if options.method == .sce { return try selectByVariance(&tensor) }
    if options.method.selection == .all { return }
    let (all, options, sets) = (all, options, wholeSets)
    let (shape, key) = (tensor.shape, tensor.key)
    try parallelForEach(&tensor.terms) { _, term throws(DiffError) in
      let chance = ChanceKey(
        seed: options.seed, diff: all.inputs[term.diff].diff.identity, tensor: key)
      switch options.method.selection {
      case .all, .variance: break
      case .largest where !sets.isEmpty: term.filter = .top(sets[term.diff])
      case .largest: try term.selectLargest(shape, options)
      case .random: term.selectAtRandom(shape, options, chance)
      case .ranked: try term.selectByRank(shape, options, chance)
      case .middle: try term.selectMiddle(shape, options)
      }
      if options.usedRescale == .l1 { try term.rescaleToL1() }
    }
  }

  /// Weighs the terms for a combination.
  ///
  /// - Complexity: O(diffs); for methods that look at all changes of a tensor, O(changes).
  mutating func weigh(
    _ tensor: inout MergeTensor, for combination: Combination
  ) throws(DiffError) {
    switch combination {
    case .sum:
      let common = try commonFactor(tensor)
      for index in tensor.terms.indices {
        tensor.terms[index].factor *= weight(tensor.terms[index]) * common
      }
    case .vote:
      guard options.variant == .mergekit else { return }
      for index in tensor.terms.indices {
        tensor.terms[index].factor *= weight(tensor.terms[index])
      }
    case .election: try weighElection(&tensor)
    case .sharing:
      let factors = try soloFactors(of: tensor)
      for index in tensor.terms.indices {
        let weight = weight(tensor.terms[index])
        let solo = factors.isEmpty ? 1 : factors[tensor.terms[index].diff]
        tensor.terms[index].setTerms([(1, 0, 0), (0, weight, 0), (0, weight * solo, 0)])
      }
    case .variance:
      for index in tensor.terms.indices {
        tensor.terms[index].setTerms([(0, 1, 0), (0, 0, 1)])
      }
    case .onlyDiff:
      for index in tensor.terms.indices {
        tensor.terms[index].setTerms([(1, 0, 0), (Double(tensor.terms[index].diff + 1), 0, 0)])
      }
    }
  }

  private func weight(_ term: MergeTerm) -> Double { all.inputs[term.diff].weight }

  /// What multiplies all terms of a sum.
  private mutating func commonFactor(_ tensor: MergeTensor) throws(DiffError) -> Double {
    switch options.method {
    case .average: 1 / all.inputs.reduce(0) { $0 + $1.weight }
    case .modelStock: try stockFactor(tensor)
    default: 1
    }
  }

  private mutating func weighElection(_ tensor: inout MergeTensor) throws(DiffError) {
    let variance = options.method == .sce ? try meanSquares(tensor) : []
    let divides =
      options.variant != .mergekit || options.method == .ties || options.method == .della
    for index in tensor.terms.indices {
      var weight = weight(tensor.terms[index])
      var vote = 1.0
      var divisor = divides ? 1.0 : 0
      if options.method == .sce {
        weight = variance[index]
        divisor = weight
      } else if options.variant == .mergekit {
        vote = weight
        if divides { divisor = weight }
      }
      // What votes w_t δ_t has the sign of that; of weight 0 it has none and is never elected.
      let raises: [(Double, Double, Double)] =
        vote == 0
        ? [(0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)]
        : [(0, vote, 0), (0, weight, 0), (divisor, 0, 0), (0, 0, 0), (0, 0, 0)]
      let lowers = [raises[0], raises[3], raises[4], raises[1], raises[2]]
      tensor.terms[index].setTerms(vote < 0 ? lowers : raises, vote < 0 ? raises : lowers)
    }
  }

  /// A pass over one tensor whose terms are prepared; `body` gets the parts in order.
  mutating func pass(
    _ tensor: MergeTensor, _ combination: Combination,
    _ body: (MergedPart) throws(DiffError) -> Void
  ) throws(DiffError) {
    let engine = engines[combination] ?? MergeEngine(combination)
    engines[combination] = engine
    for window in tensor.windows(0, limit: all.windowLimit) {
      for part in try engine.merge([window], of: [tensor])[0] { try body(part) }
    }
  }
}

extension MergeTerm {
  /// Sets what a change adds to each channel; below zero the same, if nothing is said.
  fileprivate mutating func setTerms(
    _ raises: [(Double, Double, Double)], _ lowers: [(Double, Double, Double)]? = nil
  ) {
    channelTerms = (raises + (lowers ?? raises)).flatMap { [$0.0, $0.1, $0.2] }
  }
}
