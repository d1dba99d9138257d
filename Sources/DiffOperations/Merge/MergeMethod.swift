/// How several sparse deltas become one. δ_t is the delta of diff t, w_t its weight, d a density;
/// every formula maps zeros to zeros, so all of them work on the changes alone. A diff without a
/// tensor counts as one that does not change it. The result is multiplied by `MergeOptions.scale`.
public enum MergeMethod: String, Sendable, Hashable, CaseIterable {
  /// Σ w_t δ_t (task arithmetic: Ilharco 2023, arXiv 2212.04089).
  case sum
  /// Σ w_t δ_t / Σ w_t, over all diffs; refused where Σ w_t is nothing beside the weights.
  case average
  /// Each δ_t is trimmed to the share d of largest magnitude; the sign of the sum is elected, and
  /// the values of that sign are averaged (Yadav 2023, arXiv 2306.01708). See `SignVariant`.
  case ties
  /// Each change stays with probability d and is rescaled; then Σ w_t δ_t (Yu 2023,
  /// arXiv 2311.03099).
  case dareLinear = "dare-linear"
  /// The same, then the election of TIES.
  case dareTies = "dare-ties"
  /// As DARE, but the probability grows with the rank of a magnitude in its row, from d − ε to
  /// d + ε; then the election of TIES (Deep 2024, arXiv 2406.11617; the ranks are those of
  /// mergekit).
  case della
  /// The same, then Σ w_t δ_t.
  case dellaLinear = "della-linear"
  /// Of each tensor the ⌊γ n⌋ largest magnitudes of δ_t are dropped and the ⌊d n⌋ next ones kept;
  /// then Σ w_t δ_t (Davari 2023, arXiv 2312.06795; what is dropped at the top gives way where
  /// fewer than ⌊d n⌋ would be left, as in mergekit). With γ n < 1 nothing is dropped at the top.
  case breadcrumbs
  /// The same, then the election of TIES.
  case breadcrumbsTies = "breadcrumbs-ties"
  /// What one diff alone changes is kept, what several change is averaged over these: made for
  /// sparse deltas (Yuan 2026, arXiv 2601.13572).
  case ram
  /// The same, but what diff t alone changes is multiplied by 1 + r · min(ρ_t, α), ρ_t being how
  /// much it shares over what it alone changes.
  case ramPlus = "ram-plus"
  /// The positions are kept whose variance over all diffs is largest; a diff's weight is its mean
  /// δ² there; then the weighted average of those with the sign of Σ δ_t (Wan 2024,
  /// arXiv 2408.07990).
  case sce
  /// t · mean(δ_t), t = N c / (1 + (N − 1) c), c the mean cosine of two deltas of a tensor (Jang
  /// 2024, arXiv 2403.19522). A delta that is zero has the cosine 0 to others; t is 0 where the
  /// denominator is.
  case modelStock = "model-stock"

  /// The method of a name: '-' and '_' are the same, 'task-arithmetic' is another name of 'sum' and
  /// 'linear' of 'average'.
  public init?(named name: String) {
    switch name.replacing("_", with: "-") {
    case "task-arithmetic": self = .sum
    case "linear": self = .average
    case let name: self.init(rawValue: name)
    }
  }

  /// Whether the values of one sign are elected.
  package var elects: Bool {
    switch self {
    case .ties, .dareTies, .della, .breadcrumbsTies: true
    default: false
    }
  }

  /// How changes are chosen beforehand.
  package enum Selection { case all, largest, random, ranked, middle, variance }

  package var selection: Selection {
    switch self {
    case .sum, .average, .ram, .ramPlus, .modelStock: .all
    case .ties: .largest
    case .dareLinear, .dareTies: .random
    case .della, .dellaLinear: .ranked
    case .breadcrumbs, .breadcrumbsTies: .middle
    case .sce: .variance
    }
  }

  /// Whether chance has a part in it.
  package var draws: Bool { selection == .random || selection == .ranked }

  /// Whether the diffs may have weights.
  package var isWeighted: Bool { self != .sce && self != .modelStock }
}

/// The three definitions of TIES in use, which differ in more than spelling. Those of DARE, DELLA
/// and breadcrumbs differ likewise in the election.
public enum SignVariant: String, Sendable, Hashable, CaseIterable {
  /// The authors' code: a diff is trimmed over all tensors together, to what is not below its
  /// (⌊d n⌋ + 1)-th largest magnitude (n: elements of all tensors that any of the diffs changes);
  /// the vote is unweighted; a sum of zero falls to the sign that wins at more positions (−, if
  /// that is a tie); the weighted values of the elected sign are divided by their number.
  /// RAM+ counts over all tensors.
  case reference
  /// mergekit: trimmed tensor by tensor to the max(1, ⌊d n⌋) largest (none, if d is 0); w_t δ_t vote; a sum of zero
  /// falls to +; TIES and DELLA divide by Σ w_t of what was elected (unless that is zero, or nothing
  /// beside the weights), DARE and breadcrumbs do not divide. RAM+ counts tensor by tensor.
  case mergekit
  /// The PEFT library: trimmed tensor by tensor to the ⌊d n⌋ largest; the vote is unweighted; a
  /// sum of zero falls to +; the weighted values are divided by their number.
  case peft
}

/// What a density is a share of.
public enum DensityBase: String, Sendable, Hashable, CaseIterable {
  /// All elements of the tensors.
  case elements
  /// The changes that a diff stores, so that it does not empty what is sparse already.
  case nonzeros
}

/// How what is kept makes up for what was dropped (of DARE and DELLA; TIES and breadcrumbs know `l1`
/// alone).
public enum Rescale: String, Sendable, Hashable, CaseIterable {
  case none
  /// Divided by the probability with which it was kept: the expectation stays.
  case inverseDensity = "inverse-density"
  /// So that the sum of magnitudes of a diff's changes to a tensor stays.
  case l1
}
