import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// The result of `switch` and `get`.
public struct SwitchOutcome: Sendable, Hashable {
  /// The version of the checkpoint before, or the one whose anchor the result was made from.
  public var from: String
  /// The version of the result.
  public var to: String
  /// The number of links that were applied.
  public var links = 0
  /// The number of tensors that changed.
  public var tensors = 0
  /// The number of bytes of links and anchors that were read.
  public var cost: UInt64 = 0
  /// True if there was nothing to do except, for an output, a copy.
  public var isThere = false
}

extension Store {
  /// Switches a checkpoint from its version in the store to another one.
  ///
  /// The version is recognized by the checkpoint's fingerprints, which are computed once and then
  /// kept beside it. Every tensor that changes is verified before and after, and the result as a
  /// whole before it becomes visible.
  ///
  /// - Parameters:
  ///   - checkpoint: the checkpoint to switch.
  ///   - name: the name of the version to switch to.
  ///   - output: the path of the result; nil to change the checkpoint in place, with a redo
  ///     journal, so that it is either the old version or, perhaps after `recover`, the new one.
  ///   - replaced: contents that an output folder has instead of other files, by name.
  ///   - overwriting: whether an existing file at `output` may be replaced.
  ///   - progress: called repeatedly with the progress.
  /// - Throws: `wrongBase` with the nearest version if the checkpoint is not a version of the
  ///   store; the errors of `Diffs.apply` and `Diffs.applyInPlace`.
  /// - Complexity: O(bytes + changes of the links) to write, in place O(bytes of the tensors that
  ///   change + changes); memory is a window of blocks and the pages of the links that reach into
  ///   it.
  public func `switch`(
    _ checkpoint: any Checkpoint, to name: String, output: String? = nil,
    replacing replaced: [String: [UInt8]] = [:], overwriting: Bool = false,
    progress: ProgressHandler? = nil
  ) throws(DiffError) -> SwitchOutcome {
    let index = index
    let end = try index.number(of: name)
    let cache = FingerprintCache(checkpoint)
    let table = try cache.table(progress: progress)
    guard let begin = find(table, preferring: end, index) else {
      throw try unknown(checkpoint, table, index)
    }
    let route = StoreRoute(from: begin, to: end, in: index, copies: output != nil)
    var outcome = SwitchOutcome(
      from: index.versions[route.anchor ?? begin].name, to: name, links: route.steps.count,
      cost: route.cost, isThere: begin == end)
    if begin == end && output == nil { return outcome }
    let made = try carry(
      checkpoint, table, along: route, to: end, of: index, output: output,
      replacing: replaced, overwriting: overwriting, progress: progress)
    outcome.tensors = made.tensors
    files.writeNotes()
    return outcome
  }

  /// Writes a version as a new checkpoint.
  ///
  /// - Throws: as `switch`.
  public func get(
    _ name: String, to output: String, replacing replaced: [String: [UInt8]] = [:],
    overwriting: Bool = false, progress: ProgressHandler? = nil
  ) throws(DiffError) -> SwitchOutcome {
    let index = index
    let end = try index.number(of: name)
    let route = StoreRoute(fromAnchorTo: end, in: index)
    guard let anchor = route.anchor, let stored = index.versions[anchor].anchor else {
      throw unreachable(end, index)
    }
    let table = try anchorTable(anchor, index)
    let made = try carry(
      try files.open(stored), table, along: route, to: end, of: index, output: output,
      replacing: replaced, overwriting: overwriting, progress: progress)
    files.writeNotes()
    return SwitchOutcome(
      from: index.versions[anchor].name, to: name, links: route.steps.count,
      tensors: made.tensors, cost: route.cost, isThere: route.steps.isEmpty)
  }

  /// Follows a route.
  ///
  /// - Parameter table: the fingerprints of the checkpoint's tensors.
  private func carry(
    _ checkpoint: any Checkpoint, _ table: TensorTable, along route: StoreRoute, to end: Int,
    of index: StoreIndex, output: String?, replacing replaced: [String: [UInt8]],
    overwriting: Bool, progress: ProgressHandler?
  ) throws(DiffError) -> RouteOutcome {
    var table = table
    func check(_ outcome: RouteOutcome) throws(DiffError) {
      for (name, fingerprint) in outcome.fingerprints where !name.isOptimizerState {
        table[name] = fingerprint
      }
      try require(table, index.versions[end], output ?? checkpoint.path)
    }
    let made: RouteOutcome
    if route.anchor != nil, output == nil {
      let source = try self.checkpoint(end, index)
      let wanted = try self.table(end, index)
      made = try Diffs.replace(
        checkpoint, by: source, wanted.differences(from: table), to: nil, progress: progress,
        check: check)
    } else {
      var (start, before) = (checkpoint, table)
      if let anchor = route.anchor, let stored = index.versions[anchor].anchor {
        (start, before) = (try files.open(stored), try anchorTable(anchor, index))
      }
      if !replaced.isEmpty, let folder = start as? SafeTensorsFolder {
        start = try SafeTensorsFolder(folder.path, replacing: replaced)
      }
      table = before
      made = try Diffs.follow(
        try self.route(route, index), from: start, to: output, overwriting: overwriting,
        progress: progress, check: check)
    }
    // An open checkpoint keeps its lock, so the written one is opened only if it is another file.
    if let written = output.map({ try? CheckpointFile.open($0) }) ?? checkpoint {
      FingerprintCache(written).write(table)
    }
    return made
  }

  /// Returns the diffs of a route, with the results of steps that revert a diff without old values.
  func route(_ route: StoreRoute, _ index: StoreIndex) throws(DiffError) -> Route {
    let diffs = try files.open(route.steps.compactMap { index.versions[$0.link].link })
    var made = Route(
      zip(diffs, route.steps).map { DiffStep($0, $1.isBackwards ? .revert : .apply) })
    for (number, step) in route.steps.enumerated() where step.isBackwards {
      guard index.versions[step.link].link?.kind != .exact,
        let parent = index.parent(of: step.link)
      else { continue }
      made.restored[number] = try checkpoint(parent, index)
    }
    return made
  }

  // MARK: The version of a checkpoint

  /// Returns the version of a checkpoint, or nil if it is not one of the store.
  ///
  /// - Complexity: O(bytes) the first time, then O(tensors).
  public func version(
    of checkpoint: any Checkpoint, progress: ProgressHandler? = nil
  ) throws(DiffError) -> StoreVersion? {
    let index = index
    let table = try FingerprintCache(checkpoint).table(progress: progress)
    return find(table, preferring: nil, index).map { index.versions[$0] }
  }

  func find(_ table: TensorTable, preferring wanted: Int?, _ index: StoreIndex) -> Int? {
    guard let fingerprint = table.fingerprint else { return nil }
    if let wanted, index.versions[wanted].fingerprint == fingerprint { return wanted }
    return index.versions.firstIndex { $0.fingerprint == fingerprint }
  }

  /// Returns the error of a checkpoint that is not a version of the store.
  private func unknown(
    _ checkpoint: any Checkpoint, _ table: TensorTable, _ index: StoreIndex
  ) throws(DiffError) -> DiffError {
    var error = DiffError(
      .wrongBase, "is not a version of the store \(name)", path: checkpoint.path)
    // Files of a remote store are not fetched for a message.
    if files.origin == nil, let (number, equal) = try? nearest(to: table, index) {
      error.message +=
        "; the nearest is '\(index.versions[number].name)', which shares \(equal) of "
        + "\(table.count) tensors with it"
    }
    return error
  }

  /// Returns the version that has the most tensors in common with a checkpoint.
  ///
  /// - Complexity: O(entries of all links).
  private func nearest(
    to table: TensorTable, _ index: StoreIndex
  ) throws(DiffError) -> (number: Int, equal: Int)? {
    let children = index.children
    var best: (number: Int, equal: Int)?
    var waiting: [(number: Int, before: TensorTable?)] =
      index.versions.indices.filter { index.versions[$0].parent == nil }.map { ($0, nil) }
    while let (number, before) = waiting.popLast() {
      var here: TensorTable
      if let before, let link = index.versions[number].link {
        here = before
        for diff in try files.open([link]) { try here.take(diff) }
      } else {
        here = try anchorTable(number, index)
      }
      let equal = here.common(with: table)
      if equal > best?.equal ?? -1 { best = (number, equal) }
      for child in children[number] ?? [] { waiting.append((child, here)) }
    }
    return best
  }
}

extension TensorTable {
  /// Returns the number of equal tensors.
  func common(with other: TensorTable) -> Int {
    names.count { self[$0] == other[$0] && self[$0] != nil }
  }

  /// Returns the tensors that differ from another table, with their fingerprints there and here.
  func differences(
    from other: TensorTable
  ) -> [(name: TensorName, before: Fingerprint?, after: Fingerprint?)] {
    let gone = other.names.filter { self[$0] == nil }
    return (names + gone).sorted().compactMap { name in
      let (before, after) = (other[name], self[name])
      return before == after ? nil : (name, before, after)
    }
  }
}
