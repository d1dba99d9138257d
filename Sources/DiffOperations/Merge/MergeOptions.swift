import Checkpoints
import DiffFormat
import TensorCore

/// How `merge` works.
public struct MergeOptions: Sendable {
  /// The formula.
  public var method = MergeMethod.sum
  /// Which definition of the election and of what goes with it.
  public var variant = SignVariant.reference
  /// λ: multiplies the result.
  public var scale = 1.0
  /// d: what the method keeps of each diff, in 0 ... 1. Without it TIES and SCE keep all; the
  /// other methods that have one need it.
  public var density: Double?
  /// What `density` is a share of. By default what the formulas say: for TIES and breadcrumbs
  /// elements; for DARE each change for itself, which is nonzeros; for DELLA elements, zeros being
  /// the lowest ranks; for SCE the positions whose variance is not zero.
  public var densityOf: DensityBase?
  /// By default `inverseDensity` for DARE and DELLA, else `none`.
  public var rescale: Rescale?
  /// DELLA: ε, how far probabilities reach from the density.
  public var epsilon = 0.1
  /// Breadcrumbs: γ, the share of the largest changes that is dropped.
  public var gamma = 0.01
  /// RAM+: r and α.
  public var ramRate = 0.1, ramLimit = 0.2
  /// Of random choices, which are a function of the seed, the tensor's name, the position, the
  /// contents of the diff without metadata and encodings, and how many of several diffs of equal
  /// contents it is.
  public var seed: UInt64 = 0
  /// Whether what a tensor gets is divided by the sum of the weights: of all diffs for methods that
  /// sum, of those elected for methods that elect (by their number, if the vote is unweighted). By
  /// default what `MergeMethod` and `SignVariant` say.
  public var normalizes: Bool?
  /// `average`: the weight of the base, as of a diff that changes nothing.
  public var baseWeight: MergeSetting = 0
  /// Whether a merge is refused that would lose something: changes beyond the range of a tensor,
  /// changes that the type of the values rounds to zero, changes that cancel.
  public var refusesLosses = false
  /// The type of stored values.
  public var values = FloatType.f16
  /// Prunes the result to the largest ⌊density × elements of its tensors⌋; among equals the first
  /// by tensor name, then position.
  public var pruneTo: Double?
  /// What becomes of heads that differ.
  public var heads = HeadChoice.refuse
  /// The base of the diffs: where some of them change the number of rows of a tensor, what they do to
  /// the others is told by it.
  public var base: (any Checkpoint)?
  /// Which rows such a tensor gets; without a choice they are refused.
  public var rows: RowChoice?
  /// Whether diffs on different bases may be merged.
  public var allowsOtherBase = false
  /// How encodings are chosen.
  public var profile = EncodingProfile.size
  /// More facts to store.
  public var metadata: [String: String] = [:]

  /// The defaults: the sum.
  public init() {}

  /// What densities are of, resolved.
  var usedDensityOf: DensityBase {
    densityOf
      ?? (method.selection == .random || method.selection == .variance ? .nonzeros : .elements)
  }

  /// Whether there is a division by weights or numbers, resolved.
  var usesNormalization: Bool {
    if let normalizes { return normalizes }
    guard method.elects else { return method == .average }
    return variant != .mergekit || method == .ties || method == .della
  }

  /// The rescaling, resolved.
  var usedRescale: Rescale {
    let drops = method.selection == .random || method.selection == .ranked
    return rescale ?? (drops ? .inverseDensity : .none)
  }
}

/// Which of several heads (tensors that the base lacks) of one name goes into the result. Equal
/// ones are one head in any case.
public enum HeadChoice: Sendable, Hashable {
  /// Heads that differ are an error.
  case refuse
  /// The one of the first diff that has it.
  case first
  /// The one of the diff with this path, file name or file name without suffix.
  case named(String)
  /// None of those that differ.
  case drop
}

extension MergeOptions {
  /// Refuses what contradicts itself or is out of range.
  func check(_ inputs: [MergeInput]) throws(DiffError) {
    guard !inputs.isEmpty else { throw refusal("nothing to merge; give at least one diff") }
    guard inputs.flatMap(\.weight.numbers).allSatisfy(\.isFinite), scale.isFinite else {
      throw refusal("weights and the scale must be finite numbers")
    }
    guard values != .f64 else { throw refusal("values are stored as f16, bf16 or f32") }
    try checkWeights(inputs)
    try checkDensities(inputs)
    if method == .modelStock, inputs.count < 2 {
      throw refusal("'model-stock' compares diffs; give at least two")
    }
    for gamma in [gamma] + inputs.flatMap({ $0.gamma?.numbers ?? [] }) where !(0...1 ~= gamma) {
      throw refusal("γ must be in 0 ... 1, not \(gamma)")
    }
    guard ramRate.isFinite, ramLimit >= 0, ramLimit.isFinite else {
      throw refusal("r and α of RAM+ must be finite, α not negative")
    }
    switch method.selection {
    case .random, .ranked: break
    case .largest where rescale != .inverseDensity, .middle where rescale != .inverseDensity: break
    default:
      guard rescale == nil || rescale == Rescale.none else {
        throw refusal("'\(method.rawValue)' is not rescaled in this way")
      }
    }
  }

  private func refusal(_ message: String) -> DiffError { DiffError(.usage, message) }

  private func checkWeights(_ inputs: [MergeInput]) throws(DiffError) {
    guard method.isWeighted || inputs.allSatisfy({ $0.weight == 1 }) else {
      throw refusal("'\(method.rawValue)' weighs the diffs itself; leave the weights out")
    }
    switch (method, normalizes) {
    case (_, nil): break
    case (.average, false):
      throw refusal("an average that is not divided by the weights is the method 'sum'")
    case (.ram, _), (.ramPlus, _), (.sce, _), (.modelStock, _):
      throw refusal("'\(method.rawValue)' divides in its own way; leave the normalization out")
    default: break
    }
    let all = inputs.map(\.weight) + [baseWeight]
    let weights = WeightSum(all.map(\.usual))
    if !method.elects, usesNormalization, all.allSatisfy(\.isUniform), weights.isNothing {
      throw DiffError.weightsCancel(weights.sum)
    }
  }

  private func checkDensities(_ inputs: [MergeInput]) throws(DiffError) {
    let own = inputs.flatMap { $0.density?.numbers ?? [] }
    for share in [density, pruneTo].compactMap({ $0 }) + own where !(0...1 ~= share) {
      throw refusal("a density must be in 0 ... 1, not \(share)")
    }
    let areOwn = inputs.allSatisfy { $0.density != nil }
    switch method.selection {
    case .all where density != nil || densityOf != nil || !own.isEmpty:
      throw DiffError(.usage, "'\(method.rawValue)' has no density", remedy: .pruneResult)
    case .random, .ranked, .middle:
      guard areOwn || density.map({ $0 > 0 }) == true else {
        throw refusal("'\(method.rawValue)' needs a density above 0: what it keeps of each diff")
      }
    case .variance where !own.isEmpty:
      throw refusal("'\(method.rawValue)' selects from all diffs together; give one density")
    case .largest where variant == .reference:
      guard inputs.allSatisfy({ $0.density?.isUniform != false }) else {
        throw refusal(
          "the reference definition of 'ties' trims a diff over all tensors together; for densities "
            + "of tensors take the variant mergekit or peft")
      }
    default: break
    }
    guard method.selection == .ranked else { return }
    for input in inputs {
      for density in input.density?.numbers ?? [density ?? 1] where density < 1 && density > 0 {
        for epsilon in input.epsilon?.numbers ?? [epsilon]
        where !(epsilon >= 0 && density - epsilon > 0 && density + epsilon < 1) {
          throw refusal(
            "density − ε and density + ε must be above 0 and below 1, not "
              + "\(density - epsilon) and \(density + epsilon)")
        }
      }
    }
  }
}

extension DiffError {
  /// The error of a division by weights that come to nothing.
  static func weightsCancel(_ sum: Double, in tensor: TensorName? = nil) -> DiffError {
    DiffError(
      .usage,
      "the weights come to \(sum), which is nothing beside them: what is divided by it has no meaning",
      tensor: tensor)
  }
}
