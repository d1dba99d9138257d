import DiffFormat
import TensorCore

/// The result of `merge`.
public struct MergeSummary: Sendable, Hashable {
  /// A tensor with merged additions.
  public struct Tensor: Sendable, Hashable {
    /// Its name.
    public var name: TensorName
    /// The number of diffs that change it.
    public var diffs: Int
    /// The numbers of elements, of changes of all diffs together, and of changes of the result.
    public var elements: UInt64 = 0, read: UInt64 = 0, changes: UInt64 = 0
    /// The number of changes of the result that are out of range of the tensor's type: such
    /// elements become infinite.
    public var beyondRange: UInt64 = 0
    /// The number of positions that several diffs change, and of those that some raise and others
    /// lower, among the changes that the method selects.
    public var shared: UInt64 = 0, opposite: UInt64 = 0
    /// The number of positions whose changes cancel: the sum is zero, or within rounding errors of
    /// it.
    public var cancelled: UInt64 = 0
    /// The number of changes of the result that the type of the values rounds to zero.
    public var rounded: UInt64 = 0
    /// The number of positions where the weights of the elected diffs cancel, so that the sum is
    /// not divided by their sum.
    public var undivided: UInt64 = 0
  }

  /// The tensors with merged additions, in order of names.
  public var tensors: [Tensor] = []
  /// The heads and deleted tensors in the result, and the heads that were left out.
  public var whole: [TensorName] = [], dropped: [TensorName] = []
  /// The attributes of tensors that the diffs change differently, or whose tensors are not all in
  /// the result.
  public var attributesLeftOut: [AttributeChange] = []
  /// The tensors whose number of rows the diffs change.
  public var grown: [TensorName] = []

  /// The diffs that share no changed tensor with another diff.
  public var unrelated: [String] = []
  /// The diffs of which TIES or breadcrumbs trim nothing despite a density below 1, since they
  /// have no more changes than the density keeps.
  public var untrimmed: [String] = []

  /// The totals over all tensors; `diffs` is the maximum over tensors.
  public var total: Tensor {
    var total = Tensor(name: "", diffs: 0)
    for tensor in tensors {
      total.diffs = max(total.diffs, tensor.diffs)
      total.elements = [total.elements, tensor.elements].clampedSum
      total.read += tensor.read
      total.changes += tensor.changes
      total.beyondRange += tensor.beyondRange
      total.shared += tensor.shared
      total.opposite += tensor.opposite
      total.cancelled += tensor.cancelled
      total.rounded += tensor.rounded
      total.undivided += tensor.undivided
    }
    return total
  }
}

extension Diffs {
  /// Merges several additive diffs into one. The order of the diffs does not matter: they are
  /// processed in the order of their identities. Changes are decoded to float64 (stored value ×
  /// 2^scale, times weight and rescaling: one rounding), summed in float64, and stored with one
  /// rounding, with a power-of-two scale per tensor chosen as in `create`. A sum that is zero,
  /// within rounding errors of zero where changes cancel, or stored as zero is left out. Metadata
  /// lists the parents, weights and parameters.
  ///
  /// The result has the fingerprints of the base but none of its own result, since the unchanged
  /// elements are unknown.
  ///
  /// - Throws: `unsupported` for exact diffs, `wrongBase` for different bases, `mismatch` for
  ///   types, shapes and heads that differ, all with the name of the tensor and a remedy; `usage`
  ///   for contradictory options; the errors of reading and writing.
  /// - Complexity: O(changes) time; memory of some 40 MB, plus 40 kB and the index for each diff.
  ///   Methods that depend on all changes of a diff, or of all diffs, read the diffs two or three
  ///   times.
  public static func merge(
    _ inputs: [MergeInput], into sink: any ByteSink, _ options: MergeOptions = MergeOptions(),
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> MergeSummary {
    try options.check(inputs)
    if let base = options.base {
      return try GrownMerge(inputs, on: base, options).write(to: sink, handler)
    }
    let inputs = try MergeInputs(inputs, drawing: options.method.draws)
    var run = MergeRun(inputs, options, handler)
    return try run.write(to: sink)
  }
}
