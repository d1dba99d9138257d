import DiffFormat
import SystemSupport
import TensorCore

/// The additions of one diff to a tensor of a merge.
struct MergeTerm: Sendable {
  /// The index of the diff.
  let diff: Int
  let additions: AdditiveReader
  /// w, and the parameters of the selection for this diff and tensor: d, γ and ε.
  let weight, density, gamma, epsilon: Double
  /// The selection of the changes that take part.
  var filter = ChangeFilter.all
  /// The factor of the changes.
  var factor = 1.0
  /// The terms that a change adds to the channels of a block: see `MergeBlock.add`. Empty for a
  /// plain sum.
  var channelTerms: [Double] = []
}

/// A tensor that additions of one or more diffs change.
struct MergeTensor: Sendable {
  /// The name in the first diff that has the tensor, and the key that random choices depend on.
  let name: TensorName
  let key: TensorName.Key
  let type: ElementType
  let float: FloatType
  let shape: Shape
  /// The fingerprint of the base, if all diffs agree.
  let base: Fingerprint?
  /// The sum of the weights of all diffs, whether they change the tensor or not.
  let weights: WeightSum
  /// The number of diffs that take part, whether they change the tensor or not.
  let participants: Int
  /// The magnitude up to which a divisor counts as zero: see `Combination.finish`.
  var leastDivisor = -1.0
  /// The terms, in order of the diffs, without those that cannot take part.
  var terms: [MergeTerm]

  /// The number of changes of all terms.
  var changes: UInt64 { terms.reduce(0) { $0 + $1.additions.entry.count } }

  /// Cuts the tensor into windows that hold about `limit` changes each: at least one, which may be
  /// empty.
  func windows(limit: UInt64) -> [Range<UInt64>] {
    // Offsets in a window have 32 bits.
    let widest: UInt64 = 1 << 31
    if changes <= limit && shape.count <= widest { return [0..<shape.count] }
    let windows = terms.lazy.flatMap(\.additions.pages).windows(limit: limit, widest: widest)
    return windows.isEmpty ? [0..<0] : windows
  }
}

/// The sum of weights, with a test for cancellation.
struct WeightSum: Sendable {
  private(set) var sum = 0.0
  private var magnitudes = 0.0
  private var least = Double.infinity
  private var signs: Set<FloatingPointSign> = []

  /// Creates the sum of finite weights.
  init(_ weights: some Sequence<Double>) {
    for weight in weights where weight != 0 {
      sum += weight
      magnitudes += weight.magnitude
      least = min(least, weight.magnitude)
      signs.insert(weight.sign)
    }
  }

  /// True if the sum is negligible beside the weights: zero, or within rounding errors of it.
  var isNothing: Bool { sum.magnitude <= Self.tiny * magnitudes }

  /// The magnitude up to which a sum of some of the weights is negligible; negative if all weights
  /// have the same sign, so that no such sum exists.
  var leastDivisor: Double { signs.count > 1 ? Self.tiny * least : -1 }

  /// The magnitude that is negligible beside 1. Dividing by less would multiply changes by more
  /// than a million.
  private static let tiny = 1e-6
}

/// The action of a merge for one name.
enum MergeItem: Sendable {
  case tensor(MergeTensor)
  /// A whole tensor (insert or delete) of one of the diffs.
  case whole(DiffReader, DiffEntry)
  /// A head that is left out.
  case dropped(TensorName)
}

extension MergeInputs {
  /// Returns the action for a tensor.
  ///
  /// - Throws: `unsupported` for exact changes, `mismatch` for types, shapes and heads that
  ///   differ, `wrongBase` for different bases.
  func item(_ tensor: AlignedTensor, _ options: MergeOptions) throws(DiffError) -> MergeItem {
    let entries = tensor.entries(in: diffs)
    let first = entries[0]
    func refuse(
      _ code: DiffError.Code, _ message: String, at number: Int = 0, remedy: Remedy? = nil
    ) -> DiffError {
      DiffError(
        code, message, path: inputs[entries[number].diff].diff.path,
        tensor: entries[number].entry.name, remedy: remedy)
    }
    for (number, (_, entry)) in entries.enumerated() {
      switch entry.operation {
      case .add, .insert, .delete: break
      case .reshape:
        throw refuse(
          .unsupported, "changes its shape, which cannot be merged without the base",
          at: number, remedy: .mergeOnBase)
      case .xor, .replace:
        throw refuse(
          .unsupported,
          "'\(entry.operation.name)' is an exact change, which cannot be merged; compose "
            + "exact diffs", at: number, remedy: .additiveDiff)
      }
      let isHead = entry.operation == .insert
      guard entry.type == first.entry.type, isHead || entry.shape == first.entry.shape else {
        throw refuse(
          .mismatch,
          "is \(entry.type) \(entry.shape) here, \(first.entry.type) \(first.entry.shape) in "
            + "\(inputs[first.diff].name); only diffs of one model can be merged", at: number)
      }
      guard entry.isAddition == first.entry.isAddition,
        entry.isAddition || entry.operation == first.entry.operation
      else {
        throw refuse(
          .mismatch,
          "is '\(entry.operation.name)' here, '\(first.entry.operation.name)' in "
            + inputs[first.diff].name, at: number, remedy: .leaveOut)
      }
    }
    guard first.entry.isAddition, let float = first.entry.type.float else {
      return try whole(tensor.name, entries, options.heads)
    }
    if let other = entries.firstIndex(where: { $0.entry.base != first.entry.base }),
      !options.allowsOtherBase
    {
      throw refuse(
        .wrongBase,
        "was made on another base than in \(inputs[first.diff].name); merge diffs of one base",
        at: other, remedy: .allowOtherBase)
    }
    let isSame = entries.allSatisfy { $0.entry.base == first.entry.base }
    return .tensor(
      MergeTensor(
        name: tensor.name, key: tensor.key, type: first.entry.type, float: float,
        shape: first.entry.shape, base: isSame ? first.entry.base : nil,
        weights: WeightSum(
          inputs.map { $0.weight[tensor.key] } + [options.baseWeight[tensor.key]]),
        participants: inputs.count { $0.weight[tensor.key] != 0 },
        terms: entries.compactMap { term($1, of: $0, tensor.key, options) }))
  }

  /// Returns the additions of a diff to a tensor; nil if its weight or density is zero.
  private func term(
    _ entry: DiffEntry, of diff: Int, _ key: TensorName.Key, _ options: MergeOptions
  ) -> MergeTerm? {
    guard let additions = AdditiveReader(entry, of: diffs[diff]) else { return nil }
    let input = inputs[diff]
    let weight = input.weight[key]
    let density = input.density?[key] ?? options.density ?? 1
    guard weight != 0, density > 0 else { return nil }
    return MergeTerm(
      diff: diff, additions: additions, weight: weight, density: density,
      gamma: input.gamma?[key] ?? options.gamma, epsilon: input.epsilon?[key] ?? options.epsilon)
  }

  /// Returns which of several whole tensors of one name is taken.
  private func whole(
    _ name: TensorName, _ entries: [(diff: Int, entry: DiffEntry)], _ choice: HeadChoice
  ) throws(DiffError) -> MergeItem {
    var contents: [Contents] = []
    for (diff, entry) in entries {
      let known = try inputs[diff].diff.fingerprintingWhole(entry)
      contents.append(Contents(shape: entry.shape, fingerprint: known.result ?? known.base))
    }
    func take(_ number: Int) -> MergeItem {
      var entry = entries[number].entry
      entry.name = name
      return .whole(inputs[entries[number].diff].diff, entry)
    }
    guard let other = contents.firstIndex(where: { $0 != contents[0] }) else { return take(0) }
    switch choice {
    case .drop where entries[0].entry.operation == .insert: return .dropped(name)
    case .first where entries[0].entry.operation == .insert:
      let earliest = entries.indices.min { given[entries[$0].diff] < given[entries[$1].diff] }
      return take(earliest ?? 0)
    case .named(let wanted) where entries[0].entry.operation == .insert:
      guard let chosen = entries.firstIndex(where: { inputs[$0.diff].isNamed(wanted) }) else {
        throw DiffError(
          .mismatch, "is not in '\(wanted)', whose heads were chosen", tensor: name)
      }
      return take(chosen)
    default:
      let isHead = entries[0].entry.operation == .insert
      throw DiffError(
        .mismatch,
        "is \(isHead ? "a head" : "a deleted tensor") that differs between "
          + "\(inputs[entries[0].diff].name) and \(inputs[entries[other].diff].name)",
        tensor: name, remedy: isHead ? .chooseHead : nil)
    }
  }

  private struct Contents: Equatable {
    let shape: Shape
    let fingerprint: Fingerprint?
  }
}

extension MergeInput {
  /// Returns whether `name` is the path of the diff, its file name, or its file name without the
  /// suffix.
  func isNamed(_ name: String) -> Bool {
    guard let path = diff.path else { return false }
    let file = OutputFile.split(path).name
    return path == name || file == name || file.hasSuffix(".diff") && file.dropLast(5) == name
  }
}
