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
  /// Of random choices, which are a function of the seed, the tensor's name, the position and the
  /// diff's identity alone.
  public var seed: UInt64 = 0
  /// The type of stored values.
  public var values = FloatType.f16
  /// Prunes the result to the largest ⌊density × elements of its tensors⌋; among equals the first
  /// by tensor name, then position.
  public var pruneTo: Double?
  /// What becomes of heads that differ.
  public var heads = HeadChoice.refuse
  /// Whether diffs on different bases may be merged.
  public var allowsOtherBase = false
  /// How encodings are chosen.
  public var profile = EncodingProfile.size
  /// More facts to store.
  public var metadata: [String: String] = [:]

  /// The defaults: the sum.
  public init() {}

  /// The density and what it is of, resolved.
  var selectionDensity: (share: Double, of: DensityBase) {
    let usual: DensityBase =
      method.selection == .random || method.selection == .variance ? .nonzeros : .elements
    return (density ?? 1, densityOf ?? usual)
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
    func refuse(_ message: String) -> DiffError { DiffError(.usage, message) }
    guard !inputs.isEmpty else { throw refuse("nothing to merge; give at least one diff") }
    guard inputs.allSatisfy(\.weight.isFinite), scale.isFinite else {
      throw refuse("weights and the scale must be finite numbers")
    }
    guard method.isWeighted || inputs.allSatisfy({ $0.weight == 1 }) else {
      throw refuse("'\(method.rawValue)' weighs the diffs itself; leave the weights out")
    }
    if method == .average, inputs.reduce(0, { $0 + $1.weight }) == 0 {
      throw refuse("an average needs weights whose sum is not zero")
    }
    if method == .modelStock, inputs.count < 2 {
      throw refuse("'model-stock' compares diffs; give at least two")
    }
    guard values != .f64 else { throw refuse("values are stored as f16, bf16 or f32") }
    for share in [density, pruneTo].compactMap({ $0 }) where !(0...1).contains(share) {
      throw refuse("a density must be in 0 ... 1, not \(share)")
    }
    switch method.selection {
    case .all where density != nil || densityOf != nil:
      throw DiffError(.usage, "'\(method.rawValue)' has no density", remedy: .pruneResult)
    case .random, .ranked, .middle:
      guard let density, density > 0 else {
        throw refuse("'\(method.rawValue)' needs a density above 0: what it keeps of each diff")
      }
    default: break
    }
    if method.selection == .ranked, let density, density < 1,
      !(epsilon >= 0 && density - epsilon > 0 && density + epsilon < 1)
    {
      throw refuse("density − ε and density + ε must be above 0 and below 1")
    }
    guard (0...1).contains(gamma) else { throw refuse("γ must be in 0 ... 1") }
    guard ramRate.isFinite, ramLimit >= 0, ramLimit.isFinite else {
      throw refuse("r and α of RAM+ must be finite, α not negative")
    }
    switch method.selection {
    case .random, .ranked: break
    case .middle where rescale != .inverseDensity: break
    default:
      guard rescale == nil || rescale == Rescale.none else {
        throw refuse("'\(method.rawValue)' is not rescaled in this way")
      }
    }
  }
}
