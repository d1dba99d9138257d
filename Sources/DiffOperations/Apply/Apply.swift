import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// How `apply` works.
public struct ApplyOptions: Sendable {
  /// How the base is recognised.
  public var verification = Verification.full
  /// Whether additive diffs may be applied to another base than theirs, though not to a result.
  public var allowsOtherBase = false
  /// Whether an existing output file may be replaced.
  public var overwriting = false
  /// Where to write the exact inverse, or nil.
  public var undoPath: String?
  /// What the tensors of the diffs are called in the checkpoint.
  public var names = NameMap()
  /// Whether additions that make elements infinite are refused.
  public var refusesInfinite = false
  /// Whether `apply` writes its output, a copy, where every tensor is at its result already.
  public var copiesWhenDone = false

  /// The defaults: full verification, nothing waived, nothing overwritten.
  public init() {}
}

/// What `apply` did.
public enum ApplyOutcome: Sendable, Hashable {
  /// A whole output was written, with so many tensors changed; additions made so many elements
  /// infinite that were not.
  case written(tensors: Int, infinite: UInt64 = 0)
  /// The same, where the tensors are.
  case patched(tensors: Int, infinite: UInt64 = 0)
  /// Every tensor was at its result already, and the output is a copy.
  case copied
  /// Every tensor was at its result already; nothing was written but the undo file.
  case alreadyDone
}

extension Diffs {
  /// Writes the checkpoint that `diffs`, taken one after the other, make of `base`; or the one that
  /// they were made from, if `direction` is `revert`. Additions that have one base are summed in
  /// float64 and applied once. What no diff touches is bit-identical in the output, which appears
  /// only when it is complete and durable.
  ///
  /// - Throws: `wrong-base` and `partly-applied` with the name of a tensor, `mismatch`,
  ///   `unsupported`, `exists`, `io`, `no-space`, `changed` if somebody writes to the base meanwhile,
  ///   `usage` if the undo file is the output; nothing is written then.
  /// - Complexity: O(size of the checkpoint), in memory of a few windows of blocks.
  public static func apply(
    _ diffs: [DiffReader], _ direction: Direction = .apply, to base: any Checkpoint,
    output path: String, _ options: ApplyOptions = ApplyOptions(),
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ApplyOutcome {
    try applyAll(diffs, direction, from: base, to: path, options, progress: handler) {
      plans throws(DiffError) in
      try Target(plans, of: base, at: path, options, overwriting: options.overwriting)
    }
  }
}

extension Diffs {
  /// Makes `base` itself the checkpoint that `apply` would write. Where nothing but elements of
  /// tensors in one piece or in unfiltered chunks changes, they are changed where they are, behind a
  /// redo journal; else a whole new file takes the place of the old one, which a folder of files does
  /// not allow.
  ///
  /// Whatever stops it, the checkpoint is the old or the new one, or is refused by whoever opens it
  /// until `recover` has made it the new one. The base is verified, under a lock, before its first
  /// byte changes.
  ///
  /// - Throws: what `apply` throws; `locked` if anybody else uses the checkpoint; `interrupted` if
  ///   the change was begun and cannot be completed now.
  /// - Complexity: to patch, O(bytes that are verified + changes).
  public static func applyInPlace(
    _ diffs: [DiffReader], _ direction: Direction = .apply, to base: any Checkpoint,
    _ options: ApplyOptions = ApplyOptions(), progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ApplyOutcome {
    try applyAll(diffs, direction, from: base, to: base.path, options, progress: handler) {
      plans throws(DiffError) in
      try Target(inPlaceOf: base, unpatchable: plans.first { !$0.isPatchable }?.name) {
        () throws(DiffError) in
        try Target(plans, of: base, at: base.path, options, overwriting: true)
      }
    }
  }
}

/// Commits an output, its undo file first, so that there is none without.
private func commit(_ output: (any CheckpointOutput)?, _ undo: UndoWriter?) throws(DiffError) {
  guard let undo else {
    try output?.commit()
    return
  }
  // A signal in between would leave the undo of what never was.
  try Interruption.deferred { () throws(DiffError) in
    try undo.commit()
    do throws(DiffError) { try output?.commit() } catch {
      // One that was begun will be completed.
      if error.code != .interrupted { undo.withdraw() }
      throw error
    }
  }
}

extension Checkpoint {
  /// What all files take on their device.
  fileprivate var allocatedSize: UInt64 {
    get throws(DiffError) {
      var sizes: [UInt64] = []
      for file in files where File.exists(file) { sizes.append(try File(file).allocatedSize) }
      return sizes.clampedSum
    }
  }
}

/// Where tensors are written to.
struct Target {
  let output: any CheckpointOutput
  /// Whether all that a pass would rewrite from the first byte to the last stands there already as
  /// in the base.
  let copiesAll: Bool
  let isPatch: Bool
  /// What keeps others from changing the base as long as a new file is to take its place.
  var lock: (any CheckpointOutput)?
}

extension Target {
  /// A new checkpoint at `path`.
  init(
    _ plans: [TensorPlan], of base: any Checkpoint, at path: String, _ options: ApplyOptions,
    overwriting: Bool
  ) throws(DiffError) {
    let copiesAll = options.verification == .touched
    try self.init(
      of: base, at: path, rewriting: copiesAll ? [] : Set(plans.filter(\.isRewritten).map(\.name)),
      changing: plans.compactMap(\.tableChange), copiesAll: copiesAll, overwriting: overwriting)
  }

  /// A new checkpoint at `path` with these changes of tensors.
  init(
    of base: any Checkpoint, at path: String, rewriting: Set<TensorName>, changing: [TableChange],
    copiesAll: Bool = false, overwriting: Bool
  ) throws(DiffError) {
    try FreeSpace.require(base.allocatedSize, at: path)
    let output = try base.makeOutput(
      at: path, rewriting: rewriting, changing: changing, overwriting: overwriting)
    self.init(output: output, copiesAll: copiesAll, isPatch: false)
  }

  /// The files of `base` themselves, if nothing but elements changes; else a new file that takes the
  /// place of the old one, which a folder of files does not allow.
  ///
  /// - Parameter unpatchable: a tensor of which more changes than elements, if there is one.
  init(
    inPlaceOf base: any Checkpoint, unpatchable: TensorName?,
    _ replacement: () throws(DiffError) -> Target
  ) throws(DiffError) {
    let patch = try base.makeInPlaceOutput()
    guard let unpatchable else {
      self.init(output: patch, copiesAll: true, isPatch: true)
      return
    }
    if Folder.exists(base.path) || base.files.count > 1 {
      throw DiffError(
        .unsupported,
        "more changes than elements, which is not done in place in a folder of files",
        path: base.path, tensor: unpatchable, remedy: .newOutput)
    }
    self = try replacement()
    lock = patch
  }
}

private func applyAll(
  _ diffs: [DiffReader], _ direction: Direction, from base: any Checkpoint, to path: String,
  _ options: ApplyOptions, progress handler: ProgressHandler?,
  begin: ([TensorPlan]) throws(DiffError) -> Target
) throws(DiffError) -> ApplyOutcome {
  if let undo = options.undoPath, OutputFile.areSamePath(undo, path) {
    throw DiffError(.usage, "is to be both the output and its undo file", path: path)
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
  // What is there though it is to come, or not there though it is to go, is found before any work.
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
  if target.output.holdsAttributes {
    let attributes = try CarriedAttributes(diffs, direction, on: base, options.names)
    for change in attributes.changes { try target.output.setAttribute(change) }
    undo?.writer.carry(attributes.changes.reversed().map(\.reversed))
  }
  if options.refusesInfinite, infinite > 0 {
    throw DiffError(
      .unsupported, "\(infinite) elements would become infinite; nothing was written",
      path: base.path, remedy: .allowLosses)
  }
  try stamps.check()
  try commit(target.output, undo)
  return target.isPatch
    ? .patched(tensors: plans.count, infinite: infinite)
    : .written(tensors: plans.count, infinite: infinite)
}

/// Refuses what cannot be recognised in the way that is asked for.
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

/// Finds out what a tensor is, and writes nothing.
func classify(
  _ plan: TensorPlan, on base: any Checkpoint, _ options: ApplyOptions,
  progress: inout ProgressCounter
) throws(DiffError) -> TensorState {
  guard let stored = plan.stored else { return plan.existsBefore ? .result : .base }
  if options.allowsOtherBase && plan.isSum {
    // Only what is at its result already is not to be taken for a base.
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

/// A tensor that comes or goes has no old elements to be recognised by.
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

/// Whether all this has been done before, as the smallest tensor tells cheaply.
///
/// - Throws: `wrong-base`, or `partly-applied` if that holds for some tensors only.
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
  return true
}

extension Checkpoint {
  /// The fingerprint of a tensor of a checkpoint. O(its bytes), on all cores.
  public func fingerprint(
    of tensor: StoredTensor
  ) throws(DiffError) -> Fingerprint {
    var builder = Fingerprint.Builder(tensor.type, tensor.shape)
    var works = [(room: [UInt8], hash: BlockHashes)](
      repeating: ([], BlockHashes()), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        try read(tensor, window[index], into: &work.room)
        work.hash = BlockHashes(work.room.span)
      }
      for work in works.prefix(window.count) { builder.append(work.hash) }
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
      .partlyApplied, "is to be deleted and is not there, though other tensors are unchanged",
      path: base.path, tensor: gone.name, remedy: .leaveOut)
  }
  return linkReached(plans, base)
    ?? DiffError(
      .partlyApplied,
      "partly applied: this tensor and others are not in the same state; start from the base",
      path: base.path, tensor: plan.name)
}

/// The error that names the link of a chain that a checkpoint has reached already; nil if it is at
/// none, or this is no chain. O(bytes of the tensors that change).
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
