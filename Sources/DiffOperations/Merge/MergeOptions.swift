import Checkpoints
import DiffFormat
import TensorCore

/// The options of `merge`.
public struct MergeOptions: Sendable {
  /// The method of merging.
  public var method = MergeMethod.sum
  /// The definition of the election and of related steps.
  public var variant = SignVariant.reference
  /// λ: the factor of the result.
  public var scale = 1.0
  /// d: the share of each diff that the method keeps, in 0 ... 1. Without it TIES and SCE keep all;
  /// the other methods with a density require it.
  public var density: Double?
  /// The number that `density` is a share of. By default that of the published formulas: elements
  /// for TIES and breadcrumbs; nonzeros for DARE, which treats each change separately; elements for
  /// DELLA, where zeros have the lowest ranks; positions with a nonzero variance for SCE.
  public var densityOf: DensityBase?
  /// The rescaling; by default `inverseDensity` for DARE and DELLA, else `none`.
  public var rescale: Rescale?
  /// ε of DELLA: the maximum difference of a probability from the density.
  public var epsilon = 0.1
  /// γ of breadcrumbs: the share of the largest changes that is dropped.
  public var gamma = 0.01
  /// r and α of RAM+.
  public var ramRate = 0.1, ramLimit = 0.2
  /// The seed of random choices, which are a function of the seed, the tensor's name, the position,
  /// the contents of the diff without metadata and encodings, and the index of the diff among those
  /// with equal contents.
  public var seed: UInt64 = 0
  /// True if the sum is divided by the sum of the weights: of all diffs for methods that sum, of
  /// the elected ones for methods that elect (by their number, if the vote is unweighted). By
  /// default as documented for `MergeMethod` and `SignVariant`.
  public var normalizes: Bool?
  /// The weight of the base for `average`, as of a diff that changes nothing.
  public var baseWeight: MergeSetting = 0
  /// True if losses are refused: changes out of range of a tensor, changes that the type of the
  /// values rounds to zero, changes that cancel.
  public var refusesLosses = false
  /// The type of stored values.
  public var values = FloatType.f16
  /// The density to prune the result to: the largest ⌊density × elements of its tensors⌋ changes
  /// are kept; ties are broken by tensor name, then position.
  public var pruneTo: Double?
  /// The choice among heads that differ.
  public var heads = HeadChoice.refuse
  /// The base of the diffs, required if some of them change the number of rows of a tensor, to
  /// compute the deltas of the other rows.
  public var base: (any Checkpoint)?
  /// The choice of the rows of such a tensor; without a choice it is refused.
  public var rows: RowChoice?
  /// True if diffs on different bases may be merged.
  public var allowsOtherBase = false
  /// The profile by which encodings are chosen.
  public var profile = EncodingProfile.size
  /// Further metadata to store.
  public var metadata: [String: String] = [:]

  /// Creates the default options: the sum.
  public init() {}

  /// The base of densities, resolved.
  var usedDensityOf: DensityBase {
    densityOf
      ?? (method.selection == .random || method.selection == .variance ? .nonzeros : .elements)
  }

  /// True if there is a division by weights or by the number of values, resolved.
  var usesNormalization: Bool {
    if let normalizes { return normalizes }
    guard method.elects else { return method == .average }
    return variant != .mergekit || method == .ties || method == .della
  }

  /// True if a common factor of all weights does not change the result, since sums are divided by
  /// the weights.
  package var cancelsCommonFactor: Bool {
    usesNormalization && (!method.elects || variant == .mergekit)
  }

  /// The rescaling, resolved.
  var usedRescale: Rescale {
    let drops = method.selection == .random || method.selection == .ranked
    return rescale ?? (drops ? .inverseDensity : .none)
  }
}

/// The choice among several heads (tensors that the base lacks) of one name. Equal heads are always
/// one head.
public enum HeadChoice: Sendable, Hashable {
  /// Refuses heads that differ.
  case refuse
  /// The head of the first diff that has it.
  case first
  /// The head of the diff with this path, file name or file name without suffix.
  case named(String)
  /// No head, if they differ.
  case drop
}

extension MergeOptions {
  /// Refuses contradictory and out-of-range options.
  package func check(_ inputs: [MergeInput]) throws(DiffError) {
    guard !inputs.isEmpty else { throw refusal("nothing to merge; give at least one diff") }
    guard inputs.flatMap(\.weight.numbers).allSatisfy(\.isFinite), scale.isFinite else {
      throw refusal("weights and the scale must be finite")
    }
    guard values != .f64 else { throw refusal("values are stored as f16, bf16 or f32") }
    try checkWeights(inputs)
    try checkDensities(inputs)
    if method == .modelStock, inputs.count(where: { $0.weight.numbers.contains { $0 != 0 } }) < 2 {
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
        throw refusal("'\(method.rawValue)' does not support this rescaling")
      }
    }
  }

  private func refusal(_ message: String) -> DiffError { DiffError(.usage, message) }

  private func checkWeights(_ inputs: [MergeInput]) throws(DiffError) {
    guard method.isWeighted || inputs.flatMap(\.weight.numbers).allSatisfy({ [0, 1].contains($0) })
    else {
      throw refusal(
        "'\(method.rawValue)' computes its own weights; omit the weights, or give only 1, and 0 for "
          + "no part")
    }
    switch (method, normalizes) {
    case (_, nil): break
    case (.average, false):
      throw refusal("an average that is not divided by the weights is the method 'sum'")
    case (.ram, _), (.ramPlus, _), (.sce, _), (.modelStock, _):
      throw refusal("'\(method.rawValue)' has its own normalization; omit the option")
    default: break
    }
    let all = inputs.map(\.weight) + [baseWeight]
    let weights = WeightSum(all.map(\.usual))
    if !method.elects, usesNormalization, all.allSatisfy(\.isUniform), weights.isNothing {
      throw DiffError.weightsCancel(weights.sum)
    }
  }

  /// Refuses densities of the diffs that the method does not support.
  package func checkDensities(_ inputs: [MergeInput]) throws(DiffError) {
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
        throw refusal("'\(method.rawValue)' requires a density above 0")
      }
    case .variance where !own.isEmpty:
      throw refusal("'\(method.rawValue)' selects from all diffs together; give one density")
    case .largest where variant == .reference:
      guard inputs.allSatisfy({ $0.density?.isUniform != false }) else {
        throw refusal(
          "the reference definition of 'ties' trims a diff over all tensors together; for "
            + "densities of tensors use the variant mergekit or peft")
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
  /// Returns the error of a division by a sum of weights that is negligible.
  static func weightsCancel(_ sum: Double, in tensor: TensorName? = nil) -> DiffError {
    DiffError(
      .usage,
      "the weights sum to \(sum), which is negligible beside them: dividing by it is meaningless",
      tensor: tensor)
  }
}
