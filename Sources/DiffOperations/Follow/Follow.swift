import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// The steps from one checkpoint to another.
package struct Route: Sendable {
  /// The steps, in order.
  package var steps: [DiffStep]

  package init(_ steps: [DiffStep] = []) { self.steps = steps }
}

/// The changes that following a route made.
package struct RouteOutcome: Sendable {
  /// The number of changed tensors.
  package var tensors = 0
  /// The fingerprints of the changed tensors afterwards, by their names in the checkpoint; nil for
  /// deleted ones.
  package var fingerprints: [TensorName: Fingerprint?] = [:]
}

extension Diffs {
  /// Takes a checkpoint along a route, in one pass over each tensor that changes: all steps are
  /// applied to a block while it is in a core's cache. Every tensor is verified before and after.
  ///
  /// - Parameters:
  ///   - path: the path of the result; nil to change the checkpoint in place, with a redo journal,
  ///     as `applyInPlace` does.
  ///   - check: called with the outcome before the result becomes visible.
  /// - Throws: `wrong-base` if a tensor is not at the beginning of the route; the errors of
  ///   `LinkedCheckpoint`, `apply` and `applyInPlace`. Nothing is changed then.
  /// - Complexity: O(bytes of the checkpoint + changes), in place O(bytes of the tensors that
  ///   change); memory for a window of blocks and the pages that overlap it.
  package static func follow(
    _ route: Route, from base: any Checkpoint, to path: String?, overwriting: Bool = false,
    progress handler: ProgressHandler? = nil,
    check: (RouteOutcome) throws(DiffError) -> Void = { _ throws(DiffError) in }
  ) throws(DiffError) -> RouteOutcome {
    try RoutePlan(route, on: base).carry(
      base, to: path, attributesOf: route.steps, overwriting: overwriting, progress: handler,
      check: check)
  }

  /// Replaces tensors of a checkpoint by those of another one.
  ///
  /// - Parameters:
  ///   - source: the checkpoint to copy the tensors from.
  ///   - changed: the tensors that differ, with their fingerprints before and after.
  ///   - path: the path of the result; nil to change the checkpoint in place.
  ///   - steps: the steps whose changes of attributes the result gets.
  package static func replace(
    _ base: any Checkpoint, by source: any Checkpoint,
    _ changed: [(name: TensorName, before: Fingerprint?, after: Fingerprint?)], to path: String?,
    attributesOf steps: [DiffStep] = [], overwriting: Bool = false,
    progress handler: ProgressHandler? = nil,
    check: (RouteOutcome) throws(DiffError) -> Void = { _ throws(DiffError) in }
  ) throws(DiffError) -> RouteOutcome {
    let (here, there) = (TensorNames(base), TensorNames(source))
    let common = try source.tensors.map { (tensor) throws(DiffError) in
      (diff: tensor.name, checkpoint: try here.find(tensor.name)?.name)
    }
    let separator = TensorNames.separator(
      common.compactMap { pair in pair.checkpoint.map { (pair.diff, $0) } })
    var plan = RoutePlan()
    for (name, before, after) in changed {
      let stored = try here.find(name)
      plan.tensors.append(
        TensorCopy(
          name: stored?.name ?? separator.map(name.key.spelled) ?? name, stored: stored,
          source: try there.find(name).map { ($0, source) }, before: before, after: after))
    }
    return try plan.carry(
      base, to: path, attributesOf: steps, overwriting: overwriting, progress: handler,
      check: check)
  }
}

/// The changes that a route makes to the tensors of a checkpoint.
private struct RoutePlan {
  var tensors: [any RouteTensor] = []

  init() {}

  init(_ route: Route, on base: any Checkpoint) throws(DiffError) {
    let names = TensorNames(base)
    let chains = try StepChain.all(route.steps)
    let stored = try chains.map { (chain) throws(DiffError) in
      try names.find(chain.first.entry.name)
    }
    let separator = TensorNames.separator(
      zip(chains, stored).compactMap { chain, stored in
        stored.map { (chain.first.entry.name, $0.name) }
      })
    var source: LinkedCheckpoint?
    for (chain, stored) in zip(chains, stored) {
      let spelled = chain.first.entry.name
      let name = stored?.name ?? separator.map(spelled.key.spelled) ?? spelled
      if let stored,
        (stored.type, stored.shape) != (chain.first.entry.type, chain.first.shapeBefore)
      {
        throw DiffError(
          .mismatch,
          "is \(stored.type) \(stored.shape), the diff was made for \(chain.first.entry.type) "
            + "\(chain.first.shapeBefore)", path: base.path, tensor: name)
      }
      guard (stored == nil) == chain.first.inserts else {
        throw DiffError(
          .wrongBase,
          stored == nil ? "is not in the checkpoint" : "exists before a diff inserts it",
          path: base.path, tensor: name)
      }
      if chain.isOnePass {
        tensors.append(
          TensorPlan(name: name, stored: stored, entries: chain.entries, isSum: false))
        continue
      }
      if source == nil { source = try LinkedCheckpoint(base, route.steps) }
      let content = try source.flatMap { (source) throws(DiffError) in
        try TensorNames(source).find(spelled).map { ($0, source) }
      }
      tensors.append(
        TensorCopy(
          name: name, stored: stored, source: content, before: chain.first.before,
          after: chain.last.deletes ? nil : chain.last.after))
    }
  }
}

extension StepChain {
  /// True if the tensor can be changed block by block, or if a single step inserts, deletes or
  /// reshapes it.
  fileprivate var isOnePass: Bool {
    changesElementsAlone || entries.count == 1 && isComputable
  }
}

/// The change that a route makes to one tensor.
private protocol RouteTensor: PlannedTensor {
  var byteCount: UInt64 { get }

  /// Writes the tensor to the output; returns its fingerprint, or nil if it is deleted.
  func run(
    _ base: any Checkpoint, _ target: Target, _ progress: inout ProgressCounter
  ) throws(DiffError) -> Fingerprint?
}

/// The tensor is written from the first byte to the last.
extension TensorCopy: RouteTensor {}

/// Elements of the tensor change, in the pass that `apply` makes.
extension TensorPlan: RouteTensor {
  func run(
    _ base: any Checkpoint, _ target: Target, _ progress: inout ProgressCounter
  ) throws(DiffError) -> Fingerprint? {
    var infinite: UInt64 = 0
    let state = try applyTensor(
      self, from: base, to: target, undo: nil, ApplyOptions(), infinite: &infinite,
      progress: &progress)
    guard state == .base || isNeutral else {
      throw DiffError(
        .wrongBase, "is not the one that '\(entries[0].reader.path ?? "a diff")' begins with",
        path: base.path, tensor: name)
    }
    return existsAfter ? after : nil
  }
}

extension RoutePlan {
  /// Changes the tensors in a new checkpoint, or in place.
  fileprivate func carry(
    _ base: any Checkpoint, to path: String?, attributesOf steps: [DiffStep], overwriting: Bool,
    progress handler: ProgressHandler?, check: (RouteOutcome) throws(DiffError) -> Void
  ) throws(DiffError) -> RouteOutcome {
    let stamps = InputStamps([base])
    let target =
      if let path {
        try Target(tensors, of: base, at: path, overwriting: overwriting)
      } else {
        try Target(tensors, inPlaceOf: base)
      }
    try stamps.check()
    var progress = ProgressCounter(
      "switch", total: tensors.map(\.byteCount).clampedSum, handler)
    var outcome = RouteOutcome()
    for tensor in tensors {
      outcome.fingerprints[tensor.name] = .some(try tensor.run(base, target, &progress))
      outcome.tensors += 1
    }
    progress.finish()
    if target.output.holdsAttributes {
      for change in try CarriedAttributes(steps, on: base).changes {
        try target.output.setAttribute(change)
      }
    }
    try stamps.check()
    try check(outcome)
    try target.output.commit()
    return outcome
  }
}
