import Checkpoints
import DiffFormat
import TensorCore

/// The direction in which a diff is applied.
public enum Direction: Sendable {
  /// From the base to the result.
  case apply
  /// From the result back to the base.
  case revert
}

/// The changes to make to one tensor of a checkpoint.
struct TensorPlan: Sendable, PlannedTensor {
  /// The name in the checkpoint, or in the diff if the checkpoint lacks the tensor.
  let name: TensorName
  /// The tensor in the checkpoint; nil if it is not there.
  let stored: StoredTensor?
  /// The entries of the diffs, in the order in which they are applied.
  let entries: [DirectedEntry]
  /// True if all entries are additions to one base, to be summed.
  let isSum: Bool

  var type: ElementType { entries[0].entry.type }
  var shape: Shape { entries[0].shapeBefore }
  var byteCount: UInt64 { shape.count * UInt64(type.width) }

  /// True if the tensor exists before and after, respectively.
  var existsBefore: Bool { !entries[0].inserts }
  var existsAfter: Bool { !entries[entries.count - 1].deletes }

  /// The fingerprint before and after; nil if unknown.
  var before: Fingerprint? { entries[0].before }
  var after: Fingerprint? { isSum && entries.count > 1 ? nil : entries[entries.count - 1].after }

  /// True if a full pass writes all bytes, so that they need not be copied first.
  var isRewritten: Bool {
    guard case .contiguous? = stored?.storage else { return false }
    return existsBefore && existsAfter && !isReshape
  }

  /// Returns the fingerprint after a link of a chain; nil if it is unknown or the tensor does not
  /// exist.
  func fingerprint(after number: Int) -> Fingerprint? {
    guard let entry = entries.last(where: { $0.number <= number }) else { return before }
    return entry.after
  }

  /// True if only elements change, and all can be changed in place.
  var isPatchable: Bool {
    tableChange == nil && (byteCount == 0 || stored?.isChangeableInPlace == true)
  }

  /// The most bytes that change.
  var changedBytes: UInt64 {
    min(byteCount, entries.map { $0.entry.count }.clampedSum &* UInt64(type.width))
  }

  /// The change of the tensor's row in the checkpoint's table; nil if there is none.
  var tableChange: TableChange? {
    if isReshape { return .reshape(name, entries[0].shapeAfter) }
    if !existsBefore { return .insert(name, type, shape) }
    return existsAfter ? nil : .delete(name)
  }

  /// True if the tensor is reshaped.
  var isReshape: Bool { entries[0].isReshape }

  /// True if the tensor is equal before and after, so that its state is ambiguous.
  var isNeutral: Bool { existsBefore && existsAfter && before != nil && before == after }

  var patch: Patch { Patch(entries, isSum: isSum) }

  /// Returns whether a tensor with this fingerprint is at the result of the additions.
  ///
  /// - Throws: `partly-applied` if it is at the result of one of several diffs.
  func isDone(_ found: Fingerprint) throws(DiffError) -> Bool {
    guard found != before, let done = entries.first(where: { $0.after == found }) else {
      return false
    }
    guard entries.count > 1 else { return true }
    throw DiffError(
      .partlyApplied,
      "is at the result of '\(done.reader.path ?? "one of the diffs")' already, which would be "
        + "added twice", tensor: name)
  }

  /// Refuses the result of a pass if it does not match the fingerprint in the diff. For a deleted
  /// tensor, a pass computes the elements that the diff stores, which must be those of the tensor,
  /// or it could not be restored.
  func requireConsistent(_ made: Fingerprint) throws(DiffError) {
    let last = entries[entries.count - 1]
    guard let claimed = existsAfter ? after : last.before, !checksumsMatch(made, claimed) else {
      return
    }
    let what =
      !existsAfter || last.inserts
      ? "stored elements" : last.isReversed ? "restored elements" : "elements of the result"
    throw .inconsistent(what, made, claimed).at(path: last.reader.path, tensor: name)
  }
}

extension TensorPlan {
  /// Plans the changes of `diffs`, in this order, to a checkpoint.
  ///
  /// - Throws: `mismatch` if a tensor is missing or has another type or shape, `unsupported` if
  ///   the diffs do not follow from each other or cannot be reverted.
  static func all(
    _ diffs: [DiffReader], _ direction: Direction, on checkpoint: any Checkpoint,
    _ map: NameMap = NameMap()
  ) throws(DiffError) -> [TensorPlan] {
    let plans = try drafts(diffs, direction, on: checkpoint, map)
    if let error = plans.filter(\.clashes).clash(on: checkpoint.path) { throw error }
    return try checked(plans, on: checkpoint, map)
  }

  /// Returns the plans, which must not clash, after checking that they fit the checkpoint.
  static func checked(
    _ plans: [TensorPlan], on checkpoint: any Checkpoint, _ map: NameMap
  ) throws(DiffError) -> [TensorPlan] {
    for plan in plans { try plan.check(on: checkpoint.path) }
    let missing = plans.filter(\.isMissing).map(\.name)
    if !missing.isEmpty { try TensorNames(checkpoint, map).requireAll(missing) }
    return plans
  }

  /// Returns whether the checkpoint, by its types and shapes, may be the base or the result.
  func fits(_ checkpoint: any Checkpoint) -> Bool {
    !isMissing && !clashes && (try? check(on: checkpoint.path)) != nil
  }

  /// Returns the plans without checking that they fit the checkpoint.
  static func drafts(
    _ diffs: [DiffReader], _ direction: Direction, on checkpoint: any Checkpoint, _ map: NameMap
  ) throws(DiffError) -> [TensorPlan] {
    let names = TensorNames(checkpoint, map)
    var entries: [TensorName.Key: [DirectedEntry]] = [:]
    for (number, diff) in (direction == .apply ? diffs : diffs.reversed()).enumerated() {
      try diff.checkNames()
      for entry in diff {
        if direction == .revert && !entry.operation.isReversible {
          throw DiffError(
            .unsupported,
            "'\(entry.operation.name)' keeps no old values, so it cannot be reverted; "
              + "keep the base",
            path: diff.path, tensor: entry.name, remedy: .undoFile)
        }
        entries[entry.name.key, default: []].append(
          DirectedEntry(
            reader: diff, entry: try diff.fingerprintingWhole(entry), number: number,
            isReversed: direction == .revert))
      }
    }
    var found: [(list: [DirectedEntry], stored: StoredTensor?)] = []
    for list in entries.values { found.append((list, try names.find(list[0].entry.name))) }
    let separator = TensorNames.separator(
      found.compactMap { pair in pair.stored.map { (map[pair.list[0].entry.name], $0.name) } })
    try map.requireDistinct(found.map(\.list[0].entry.name), of: diffs.first?.path)
    var plans: [TensorPlan] = []
    var taken: [TensorName: TensorName] = [:]
    for (list, stored) in found {
      if let stored {
        if let other = taken.updateValue(list[0].entry.name, forKey: stored.name) {
          throw DiffError(
            .mismatch, "is the same tensor as '\(other)' in this checkpoint, but not in the diff",
            path: checkpoint.path, tensor: list[0].entry.name)
        }
      }
      let name = map[list[0].entry.name]
      plans.append(
        TensorPlan(
          name: stored?.name ?? separator.map(name.key.spelled) ?? name, stored: stored,
          entries: list,
          isSum: list.allSatisfy(\.isAddition) && Set(list.map(\.before)).count == 1))
    }
    return plans.sorted { $0.name < $1.name }
  }

  /// True if the checkpoint lacks a tensor that exists before and after.
  private var isMissing: Bool { stored == nil && existsBefore && existsAfter }

  private func check(on path: String) throws(DiffError) {
    func refuse(_ code: DiffError.Code, _ message: String) -> DiffError {
      DiffError(code, message, path: path, tensor: name)
    }
    if let stored {
      let isDone = isReshape && stored.shape == entries[0].shapeAfter
      guard stored.type == type, stored.shape == shape || isDone else {
        throw refuse(
          .mismatch, "is \(stored.type) \(stored.shape), the diff was made for \(type) \(shape)")
      }
    }
    if isSum {
      for entry in entries.map(\.entry) where entry.type != type || entry.shape != shape {
        throw refuse(
          .mismatch, "is \(type) \(shape) in one diff, \(entry.type) \(entry.shape) in another")
      }
      return
    }
    for (one, next) in zip(entries, entries.dropFirst()) {
      let followsUp =
        one.deletes ? next.inserts : !next.inserts && one.after != nil && one.after == next.before
      guard followsUp, one.entry.type == next.entry.type, one.entry.shape == next.entry.shape
      else {
        throw refuse(
          .unsupported,
          "'\(next.reader.path ?? "a diff")' was not made on the result of "
            + "'\(one.reader.path ?? "another")'; give the diffs in the order they were made")
      }
    }
    // A tensor that is inserted and deleted in between would have to be stored outside the
    // checkpoint.
    guard existsBefore || existsAfter, !entries.dropFirst().contains(where: \.inserts),
      !entries.dropLast().contains(where: \.deletes)
    else {
      throw refuse(
        .unsupported, "is inserted and deleted within the diffs; apply them one after the other")
    }
  }
}
