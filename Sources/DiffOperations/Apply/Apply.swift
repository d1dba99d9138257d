import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// The options of `apply`.
public struct ApplyOptions: Sendable {
  /// The verification of the base.
  public var verification = Verification.full
  /// True if additive diffs may be applied to a base other than theirs, though not to a result.
  public var allowsOtherBase = false
  /// True if an existing output file may be replaced.
  public var overwriting = false
  /// The path to write the exact inverse to, or nil.
  public var undoPath: String?
  /// Metadata of the undo diff, beside its own.
  public var undoMetadata: [String: String] = [:]
  /// Maps names in the diffs to names in the checkpoint.
  public var names = NameMap()
  /// True if additions that make elements infinite are refused.
  public var refusesInfinite = false
  /// True if `apply` writes a copy as its output if every tensor is at its result already.
  public var copiesWhenDone = false

  /// Creates the default options: full verification, nothing waived, nothing overwritten.
  public init() {}
}

/// The outcome of `apply`.
public enum ApplyOutcome: Sendable, Hashable {
  /// A whole output was written, with this many changed tensors and elements that additions made
  /// infinite.
  case written(tensors: Int, infinite: UInt64 = 0)
  /// The checkpoint was changed in place, with this many changed tensors and elements that
  /// additions made infinite.
  case patched(tensors: Int, infinite: UInt64 = 0)
  /// Every tensor was at its result already; the output is a copy.
  case copied
  /// Every tensor was at its result already; nothing was written but the undo file.
  case alreadyDone
}

extension Diffs {
  /// Writes the result of applying `diffs` to `base` in order, or of reverting them from the last
  /// to the first. Additions to one base are summed in float64 and applied once. Whatever no diff
  /// changes is bit-identical in the output, which appears only when it is complete and durable.
  ///
  /// - Throws: `wrong-base` and `partly-applied` with the name of a tensor, `mismatch`,
  ///   `unsupported`, `exists`, `io`, `no-space`, `changed` if the base is modified meanwhile,
  ///   `usage` if the undo file is the output; nothing is written then.
  /// - Complexity: O(size of the checkpoint); memory for a few windows of blocks.
  public static func apply(
    _ diffs: [DiffReader], _ direction: Direction = .apply, to base: any Checkpoint,
    output path: String, _ options: ApplyOptions = ApplyOptions(),
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ApplyOutcome {
    try applyAll(diffs, direction, from: base, to: path, options, progress: handler) {
      plans throws(DiffError) in
      try Target(
        plans, of: base, at: path, copiesAll: options.copiesAll, overwriting: options.overwriting)
    }
  }
}

extension Diffs {
  /// Changes `base` itself to the checkpoint that `apply` would write. If only elements of
  /// contiguous tensors or of unfiltered chunks change, they are changed in place, with a redo
  /// journal, unless they are most of the bytes; otherwise new files replace the old ones, which in
  /// a folder of files is possible only if nothing but elements changes.
  ///
  /// Whatever interrupts it, the checkpoint is the old or the new one, or is refused when it is
  /// opened until `recover` has completed the change. The base is verified, under a lock, before
  /// its first byte changes.
  ///
  /// - Throws: the errors of `apply`; `locked` if another process uses the checkpoint;
  ///   `interrupted` if the change was begun and cannot be completed now.
  /// - Complexity: in place, O(bytes verified + changes).
  public static func applyInPlace(
    _ diffs: [DiffReader], _ direction: Direction = .apply, to base: any Checkpoint,
    _ options: ApplyOptions = ApplyOptions(), progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ApplyOutcome {
    try applyAll(diffs, direction, from: base, to: base.path, options, progress: handler) {
      plans throws(DiffError) in
      try Target(plans, inPlaceOf: base, copiesAll: options.copiesAll)
    }
  }
}

extension ApplyOptions {
  /// True if outputs begin as copies, since only elements that change are read.
  fileprivate var copiesAll: Bool { verification == .touched }
}

/// Commits the undo file and then the output, so that no output is without its undo file.
private func commit(_ output: (any CheckpointOutput)?, _ undo: UndoWriter?) throws(DiffError) {
  guard let undo else {
    try output?.commit()
    return
  }
  // A signal in between would leave the undo file of an output that does not exist.
  try Interruption.deferred { () throws(DiffError) in
    try undo.commit()
    do throws(DiffError) { try output?.commit() } catch {
      // An interrupted change will be completed by `recover`, and needs its undo file.
      if error.code != .interrupted { undo.withdraw() }
      throw error
    }
  }
}

private func applyAll(
  _ diffs: [DiffReader], _ direction: Direction, from base: any Checkpoint, to path: String,
  _ options: ApplyOptions, progress handler: ProgressHandler?,
  begin: ([TensorPlan]) throws(DiffError) -> Target
) throws(DiffError) -> ApplyOutcome {
  if let undo = options.undoPath, OutputFile.areSamePath(undo, path) {
    throw DiffError(.usage, "is both the output and its undo file", path: path)
  }
  let stamps = InputStamps([base])
  let plans = try TensorPlan.all(diffs, direction, on: base, options.names)
  try check(plans, options)
  if try isDone(plans, on: base, options, progress: handler) {
    let output = try options.copiesWhenDone ? begin([]).output : nil
    try stamps.check()
    try commit(output, try UndoWriter(of: diffs, options))
    return output == nil ? .alreadyDone : .copied
  }
  // A tensor that exists though it is to be inserted, or is missing though it is to be deleted, is
  // found before anything is written.
  for plan in plans where plan.existsBefore != (plan.stored != nil) {
    var none = ProgressCounter("", total: 0, nil)
    if try classify(plan, on: base, options, progress: &none) == .other {
      throw wrongBase(plan, plans, base)
    }
    throw partlyDone(plan, plans, base)
  }
  let target = try begin(plans)
  if target.isPatch || target.lock != nil, !stamps.areCurrent {
    // Another process had the lock before, perhaps for the same change.
    if try isDone(plans, on: base, options, progress: handler) {
      try commit(nil, try UndoWriter(of: diffs, options))
      return .alreadyDone
    }
    try stamps.check()
  }
  let undo = try UndoWriter(of: diffs, options)
  var infinite: UInt64 = 0
  var progress = ProgressCounter(
    direction == .apply ? "apply" : "revert", total: plans.map(\.byteCount).clampedSum, handler)
  for plan in plans {
    switch try applyTensor(
      plan, from: base, to: target, undo: undo, options, infinite: &infinite, progress: &progress)
    {
    case .base: break
    case .other: throw wrongBase(plan, plans, base)
    case .result: throw partlyDone(plan, plans, base)
    }
  }
  progress.finish()
  if target.output.holdsAttributes {
    let attributes = try CarriedAttributes(diffs, direction, on: base, options.names)
    for change in attributes.changes { try target.output.setAttribute(change) }
    undo?.writer.carry(attributes.changes.reversed().map(\.reversed))
  }
  try refuseInfinite(infinite, base, options)
  try stamps.check()
  try commit(target.output, undo)
  return target.isPatch
    ? .patched(tensors: plans.count, infinite: infinite)
    : .written(tensors: plans.count, infinite: infinite)
}

/// Refuses elements that would become infinite, if the options do not allow them.
func refuseInfinite(
  _ infinite: UInt64, _ base: any Checkpoint, _ options: ApplyOptions
) throws(DiffError) {
  guard options.refusesInfinite, infinite > 0 else { return }
  throw DiffError(
    .unsupported, "\(infinite) elements would become infinite; nothing was written",
    path: base.path, remedy: .allowLosses)
}

/// Refuses tensors that cannot be verified as the options require.
func check(_ plans: [TensorPlan], _ options: ApplyOptions) throws(DiffError) {
  for plan in plans {
    let first = plan.entries[0]
    if options.verification == .touched {
      let isWhole = !plan.existsBefore || !plan.existsAfter || plan.isReshape
      guard isWhole || (plan.entries.count == 1 && first.entry.old != nil) else {
        throw DiffError(
          .unsupported,
          "has no hash of its old elements for verification 'touched'",
          path: first.reader.path, tensor: plan.name, remedy: .verifyFully)
      }
    } else if plan.existsBefore && plan.before == nil
      && !(options.allowsOtherBase && plan.isSum)
    {
      throw DiffError(
        .unsupported,
        first.isReversed
          ? "has no fingerprint of its result, so the checkpoint cannot be verified"
          : "has no fingerprint of its base, so the base cannot be verified",
        path: first.reader.path, tensor: plan.name, remedy: plan.isSum ? .allowOtherBase : nil)
    }
  }
}

/// Returns the state of a tensor, and writes nothing.
func classify(
  _ plan: TensorPlan, on base: any Checkpoint, _ options: ApplyOptions,
  progress: inout ProgressCounter
) throws(DiffError) -> TensorState {
  guard let stored = plan.stored else { return plan.existsBefore ? .result : .base }
  if options.allowsOtherBase && plan.isSum {
    // Any base is accepted, except a tensor that is at its result already.
    guard plan.entries.contains(where: { $0.after != nil }) else { return .base }
    return try plan.isDone(base.fingerprint(of: stored)) ? .result : .base
  }
  if plan.isReshape { return try ReshapePass(plan: plan, source: base).classify() }
  guard plan.existsBefore else {
    return try base.fingerprint(of: stored) == plan.after ? .result : .other
  }
  var pass = TensorPass(plan: plan, source: base, verification: verification(plan, options))
  pass.outputHasCopy = true
  return try pass.run(&progress)
}

/// Returns the verification of a tensor. An inserted or deleted one has no hash of old elements.
private func verification(_ plan: TensorPlan, _ options: ApplyOptions) -> Verification {
  plan.existsBefore && plan.existsAfter ? options.verification : .full
}

func applyTensor(
  _ plan: TensorPlan, from base: any Checkpoint, to target: Target, undo: UndoWriter?,
  _ options: ApplyOptions, infinite: inout UInt64, progress: inout ProgressCounter
) throws(DiffError) -> TensorState {
  let output = target.output
  if plan.isReshape {
    let pass = ReshapePass(plan: plan, source: base)
    let state = try pass.classify()
    guard state == .base else { return state }
    try pass.run(to: output, &progress)
    try undo?.write(reversing: plan)
    return state
  }
  var pass = TensorPass(plan: plan, source: base, verification: verification(plan, options))
  pass.undo = undo
  pass.acceptsAnyBase = options.allowsOtherBase && plan.isSum
  switch (plan.stored, plan.existsAfter) {
  case (let stored?, true):
    guard plan.existsBefore else {
      return try classify(plan, on: base, options, progress: &progress)
    }
    pass.output = (output, stored)
    pass.outputHasCopy = target.copiesAll || !plan.isRewritten
    pass.isPatch = target.isPatch
    return try pass.run(&progress, &infinite)
  case (let stored?, false):
    let state = try pass.run(&progress)
    if state == .base { try output.delete(stored) }
    return state
  case (nil, true):
    pass.output = (output, try output.insert(plan.name, plan.type, plan.shape))
    return try pass.run(&progress)
  case (nil, false):
    return .result
  }
}

/// Returns whether all tensors are at their results already. The smallest is checked first, since
/// that is cheap.
///
/// - Throws: `wrong-base`, or `partly-applied` if only some tensors are.
private func isDone(
  _ plans: [TensorPlan], on base: any Checkpoint, _ options: ApplyOptions,
  progress handler: ProgressHandler?
) throws(DiffError) -> Bool {
  guard let smallest = plans.filter({ !$0.isNeutral }).min(by: { $0.byteCount < $1.byteCount })
  else { return false }
  var none = ProgressCounter("", total: 0, nil)
  switch try classify(smallest, on: base, options, progress: &none) {
  case .base: return false
  case .other: throw wrongBase(smallest, plans, base)
  case .result: break
  }
  var progress = ProgressCounter("verify", total: plans.map(\.byteCount).clampedSum, handler)
  for plan in plans {
    switch try classify(plan, on: base, options, progress: &progress) {
    case .result: break
    case .other: throw wrongBase(plan, plans, base)
    case .base where plan.isNeutral: break
    case .base: throw partlyDone(plan, plans, base)
    }
  }
  progress.finish()
  return true
}

extension Checkpoint {
  /// Returns the fingerprint of a tensor. O(bytes), on all cores.
  public func fingerprint(
    of tensor: StoredTensor
  ) throws(DiffError) -> Fingerprint {
    var builder = Fingerprint.Builder(tensor.type, tensor.shape)
    var blocks = [(bytes: [UInt8], hash: BlockHashes)](
      repeating: ([], BlockHashes()), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        try read(tensor, window[index], into: &block.bytes)
        block.hash = BlockHashes(block.bytes.span)
      }
      for block in blocks.prefix(window.count) { builder.append(block.hash) }
    }
    return builder.fingerprint
  }
}

func wrongBase(
  _ plan: TensorPlan, _ plans: [TensorPlan], _ base: any Checkpoint
) -> DiffError {
  linkReached(plans, base)
    ?? DiffError(
      .wrongBase,
      "is not the one that '\(plan.entries[0].reader.path ?? "the diff")' was made for",
      path: base.path, tensor: plan.name, remedy: plan.isSum ? .allowOtherBase : nil)
}

func partlyDone(
  _ plan: TensorPlan, _ plans: [TensorPlan], _ base: any Checkpoint
) -> DiffError {
  if let gone = plans.first(where: { $0.existsBefore && $0.stored == nil }) {
    return DiffError(
      .partlyApplied, "is missing though the diff deletes it, and other tensors are unchanged",
      path: base.path, tensor: gone.name, remedy: .leaveOut)
  }
  return linkReached(plans, base)
    ?? DiffError(
      .partlyApplied,
      "partly applied: this tensor and others are in different states; start from the base",
      path: base.path, tensor: plan.name)
}

/// Returns the error that names the link of a chain that a checkpoint has reached already; nil if
/// it is at none, or the diffs are not a chain. O(bytes of the tensors that change).
private func linkReached(_ plans: [TensorPlan], _ base: any Checkpoint) -> DiffError? {
  let chain = plans.flatMap(\.entries).map(\.link)
  let numbers = Set(chain.map(\.number))
  guard numbers.count > 1, !plans.contains(where: { $0.isSum && $0.entries.count > 1 }) else {
    return nil
  }
  var reached = numbers
  for plan in plans where !reached.isEmpty {
    let found = plan.stored.flatMap { try? base.fingerprint(of: $0) }
    reached = reached.filter { plan.fingerprint(after: $0) == found }
  }
  guard let number = reached.max(), let link = chain.first(where: { $0.number == number }) else {
    return nil
  }
  let isReversed = plans[0].entries[0].isReversed
  return DiffError(
    .wrongBase,
    isReversed
      ? "is at the base of '\(link.path)' already; give only the diffs before it"
      : "is at the result of '\(link.path)' already; give only the diffs after it",
    path: base.path)
}
