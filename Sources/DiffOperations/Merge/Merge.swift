import DiffFormat
import TensorCore

/// What `merge` found and made.
public struct MergeSummary: Sendable, Hashable {
  /// A tensor that additions were merged for.
  public struct Tensor: Sendable, Hashable {
    /// Its name.
    public var name: TensorName
    /// How many of the diffs change it.
    public var diffs: Int
    /// Its elements; changes of all diffs together; changes of the result.
    public var elements: UInt64 = 0, read: UInt64 = 0, changes: UInt64 = 0
    /// Changes of the result that are more than the tensor's type holds: such elements become
    /// infinite.
    public var beyondRange: UInt64 = 0
    /// Positions that several diffs change, and those that some raise and others lower, of what
    /// the method lets take part.
    public var shared: UInt64 = 0, opposite: UInt64 = 0
    /// Positions whose changes cancel: what is left is zero, or no more than rounding leaves.
    public var cancelled: UInt64 = 0
    /// Changes of the result that the type of the values rounds to zero.
    public var rounded: UInt64 = 0
    /// Positions where the weights of the diffs that were elected cancel: what they come to is not
    /// divided by that.
    public var undivided: UInt64 = 0
  }

  /// The tensors that additions were merged for, in order of names.
  public var tensors: [Tensor] = []
  /// Heads and deleted tensors in the result, and heads that were left out.
  public var whole: [TensorName] = [], dropped: [TensorName] = []
  /// Attributes that go with tensors and that the diffs change differently, or whose tensors are not
  /// all in the result.
  public var attributesLeftOut: [AttributeChange] = []
  /// Tensors whose number of rows the diffs change.
  public var grown: [TensorName] = []

  /// Diffs that change tensors of which no other diff changes any.
  public var unrelated: [String] = []
  /// Diffs of which TIES was to trim something, and which have no more changes than it keeps.
  public var untrimmed: [String] = []

  /// All tensors together; `diffs` is the most that change one tensor.
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
  /// Writes one additive diff that stands for several. The order of the diffs is of no consequence:
  /// they are taken in the order of their identities. Changes are decoded to float64 (stored value
  /// × 2^scale, times weight and rescaling: one rounding), summed in float64, and stored with one
  /// rounding, with a power-of-two scale per tensor chosen as `create` does. What comes to zero, to
  /// no more than rounding leaves of changes that cancel, or is stored as zero, is left out.
  /// Metadata names the parents, weights and parameters.
  ///
  /// The result has the base's fingerprints but none of its own, since nothing is known of the
  /// elements that do not change.
  ///
  /// - Throws: `unsupported` for exact diffs, `wrongBase` for different bases, `mismatch` for types,
  ///   shapes and heads that differ, all with the name of the tensor and the way out; `usage` for
  ///   options that contradict each other; what reading and writing throw.
  /// - Complexity: O(changes) time, in memory of some 40 MB and 40 kB for each diff beside its
  ///   index. Methods that need to know all of a diff, or of all, read the diffs two or three times.
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
