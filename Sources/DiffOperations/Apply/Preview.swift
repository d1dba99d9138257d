import Checkpoints
import DiffFormat
import TensorCore

/// The changes that `apply` or `revert` would make.
public struct TransferPreview: Sendable {
  /// A tensor that would change.
  public struct Tensor: Sendable {
    /// Its name in the checkpoint.
    public var name: TensorName
    /// The name of the operation, in the direction requested.
    public var operation: String
    /// The number of elements, and of stored changes.
    public var elements, changes: UInt64
    /// The number of elements that additions would make infinite.
    public var infinite: UInt64
  }

  /// Every tensor that would change.
  public var tensors: [Tensor] = []
  /// True if every tensor is at its result already.
  public var isDone = false
  /// The tensors that several diffs insert or reshape, which `apply` refuses. The other fields
  /// leave them out.
  public var clashing: [TensorName] = []
  /// The bytes of all tensors of the result.
  public var size: UInt64 = 0
}

extension Diffs {
  /// Returns the changes that `apply` would make, and writes nothing.
  ///
  /// - Throws: the errors of `apply` before it writes, but not for tensors that clash.
  /// - Complexity: O(bytes of the tensors that change).
  public static func preview(
    _ diffs: [DiffReader], _ direction: Direction = .apply, to base: any Checkpoint,
    _ options: ApplyOptions = ApplyOptions(), progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> TransferPreview {
    let drafts = try TensorPlan.drafts(diffs, direction, on: base, options.names)
    let plans = try TensorPlan.checked(drafts.filter { !$0.clashes }, on: base, options.names)
    try check(plans, options)
    var progress = ProgressCounter("verify", total: plans.map(\.byteCount).clampedSum, handler)
    var preview = TransferPreview()
    preview.clashing = drafts.filter(\.clashes).map(\.name)
    var states: [TensorState] = []
    for plan in plans {
      var infinite: UInt64 = 0
      let state = try Self.state(
        of: plan, on: base, options, progress: &progress, infinite: &infinite)
      if state == .other { throw wrongBase(plan, plans, base) }
      if !plan.isNeutral { states.append(state) }
      preview.tensors.append(
        TransferPreview.Tensor(
          name: plan.name, operation: plan.word, elements: plan.shape.count,
          changes: plan.entries.reduce(0) { $0 + $1.entry.count }, infinite: infinite))
    }
    progress.finish()
    try refuseInfinite(preview.tensors.map(\.infinite).clampedSum, base, options)
    preview.isDone =
      preview.clashing.isEmpty && !states.isEmpty && states.allSatisfy { $0 == .result }
    if !preview.isDone, let done = states.firstIndex(of: .result) {
      throw partlyDone(plans.filter { !$0.isNeutral }[done], plans, base)
    }
    preview.size = base.tensors.map(\.byteCount).clampedSum
    for plan in plans where !preview.isDone && plan.tableChange != nil {
      if plan.existsBefore { preview.size -= min(preview.size, plan.byteCount) }
      if plan.existsAfter {
        let shape = plan.entries[plan.entries.count - 1].shapeAfter
        preview.size = [preview.size, shape.count * UInt64(plan.type.width)].clampedSum
      }
    }
    return preview
  }

  /// Returns the state of a tensor, and counts the elements that additions would make infinite.
  private static func state(
    of plan: TensorPlan, on base: any Checkpoint, _ options: ApplyOptions,
    progress: inout ProgressCounter, infinite: inout UInt64
  ) throws(DiffError) -> TensorState {
    guard plan.entries.contains(where: { $0.entry.isAddition }), plan.stored != nil else {
      return try classify(plan, on: base, options, progress: &progress)
    }
    var pass = TensorPass(plan: plan, source: base, verification: options.verification)
    pass.outputHasCopy = true
    pass.acceptsAnyBase = options.allowsOtherBase && plan.isSum
    return try pass.run(&progress, &infinite)
  }
}

extension TensorPlan {
  /// The name of the operation on the tensor.
  fileprivate var word: String {
    if !existsBefore { return "insert" }
    return existsAfter ? entries[0].entry.operation.name : "delete"
  }
}
