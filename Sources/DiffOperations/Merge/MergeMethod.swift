/// The method of merging several sparse deltas. δ_t is the delta of diff t, w_t its weight, d a
/// density. Every formula maps zeros to zeros, so all of them use only the changes. A diff without
/// an entry for a tensor counts as one that does not change it. The result is multiplied by
/// `MergeOptions.scale`.
public enum MergeMethod: String, Sendable, Hashable, CaseIterable {
  /// Σ w_t δ_t (task arithmetic: Ilharco 2023, arXiv 2212.04089).
  case sum
  /// Σ w_t δ_t / Σ w_t, over all diffs; refused if Σ w_t is negligible beside the weights.
  case average
  /// Each δ_t is trimmed to its share d of largest magnitudes; the sign of the sum is elected, and
  /// the values of that sign are averaged (Yadav 2023, arXiv 2306.01708). See `SignVariant`.
  case ties
  /// Each change is kept with probability d and rescaled; then Σ w_t δ_t (Yu 2023, arXiv
  /// 2311.03099).
  case dareLinear = "dare-linear"
  /// As `dareLinear`, then the election of TIES.
  case dareTies = "dare-ties"
  /// As `dareTies`, but the probability grows with the rank of a magnitude in its row, from d − ε
  /// to d + ε (Deep 2024, arXiv 2406.11617; the ranks are those of mergekit).
  case della
  /// As `della`, but without election: Σ w_t δ_t.
  case dellaLinear = "della-linear"
  /// For each tensor, the ⌊γ n⌋ largest magnitudes of δ_t are dropped and the ⌊d n⌋ next ones kept;
  /// then Σ w_t δ_t (Davari 2023, arXiv 2312.06795; fewer of the largest are dropped if fewer than
  /// ⌊d n⌋ would be left, as in mergekit). If γ n < 1, none of the largest is dropped.
  case breadcrumbs
  /// As `breadcrumbs`, then the election of TIES.
  case breadcrumbsTies = "breadcrumbs-ties"
  /// A change that only one diff makes is kept, changes of several diffs are averaged over these:
  /// designed for sparse deltas (Yuan 2026, arXiv 2601.13572).
  case ram
  /// As `ram`, but changes that only diff t makes are multiplied by 1 + r · min(ρ_t, α), where ρ_t
  /// is the ratio of its shared changes to those.
  case ramPlus = "ram-plus"
  /// The positions with the largest variance over all diffs are kept; the weight of a diff is its
  /// mean δ² there; then the weighted average of the changes with the sign of Σ δ_t (Wan 2024,
  /// arXiv 2408.07990).
  case sce
  /// t · mean(δ_t), t = N c / (1 + (N − 1) c), where c is the mean cosine of two deltas of a tensor
  /// (Jang 2024, arXiv 2403.19522). A zero delta has the cosine 0 to others; t is 0 if the
  /// denominator is.
  case modelStock = "model-stock"

  /// Creates a method from its name; '-' and '_' are equal, 'task-arithmetic' is an alias of 'sum'
  /// and 'linear' of 'average'.
  public init?(named name: String) {
    switch name.replacing("_", with: "-") {
    case "task-arithmetic": self = .sum
    case "linear": self = .average
    case let name: self.init(rawValue: name)
    }
  }

  /// True if the method elects the values of one sign.
  package var elects: Bool {
    switch self {
    case .ties, .dareTies, .della, .breadcrumbsTies: true
    default: false
    }
  }

  /// The selection of changes before they are combined.
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

  /// True if the method makes random choices.
  package var draws: Bool { selection == .random || selection == .ranked }

  /// True if the diffs may have weights.
  package var isWeighted: Bool { self != .sce && self != .modelStock }
}

/// The three definitions of TIES in use, which give different results. Those of DARE, DELLA and
/// breadcrumbs differ likewise in the election.
public enum SignVariant: String, Sendable, Hashable, CaseIterable {
  /// The authors' code: a diff is trimmed over all tensors together, to changes not below its (⌊d
  /// n⌋ + 1)-th largest magnitude (n: elements of all tensors that any of the diffs changes); the
  /// vote is unweighted; a sum of zero counts as the sign that wins at more positions (−, if that
  /// is a tie); the weighted values of the elected sign are divided by their number. RAM+ counts
  /// over all tensors.
  case reference
  /// mergekit: trimmed tensor by tensor to the max(1, ⌊d n⌋) largest (none, if d is 0); w_t δ_t
  /// vote; a sum of zero counts as +; TIES and DELLA divide by Σ w_t of the elected values (unless
  /// that is zero, or negligible beside the weights), DARE and breadcrumbs do not divide. RAM+
  /// counts tensor by tensor.
  case mergekit
  /// The PEFT library: trimmed tensor by tensor to the ⌊d n⌋ largest; the vote is unweighted; a sum
  /// of zero counts as +; the weighted values are divided by their number.
  case peft
}

/// The number that a density is a share of.
public enum DensityBase: String, Sendable, Hashable, CaseIterable {
  /// All elements of the tensors.
  case elements
  /// The changes that a diff stores, for densities relative to a diff that is sparse already.
  case nonzeros
}

/// The rescaling of kept changes that compensates for dropped ones (for DARE and DELLA; TIES and
/// breadcrumbs support only `l1`).
public enum Rescale: String, Sendable, Hashable, CaseIterable {
  case none
  /// Divides each change by its probability, which preserves the expectation.
  case inverseDensity = "inverse-density"
  /// Preserves the sum of magnitudes of a diff's changes to a tensor.
  case l1
}
