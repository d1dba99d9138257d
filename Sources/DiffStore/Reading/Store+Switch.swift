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
  /// whole before it becomes visible. An output is a copy of the checkpoint, in its format and with
  /// its metadata and other files, whatever the route.
  ///
  /// - Parameters:
  ///   - checkpoint: the checkpoint to switch.
  ///   - name: the name of the version to switch to.
  ///   - output: the path of the result; nil to change the checkpoint in place, with a redo
  ///     journal, so that it is either the old version or, perhaps after `recover`, the new one.
  ///   - replaced: contents that an output folder has instead of other files, by name.
  ///   - overwriting: whether an existing file at `output` may be replaced.
  ///   - progress: called repeatedly with the progress.
  /// - Throws: `usage` for an output with the suffix of another format; `wrongBase` with the nearest version if the checkpoint is not a version of the
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
    let table = try FingerprintCache(checkpoint).table(progress: progress)
    guard let begin = find(table, preferring: end, index) else {
      throw try unknown(checkpoint, table, index)
    }
    if let output { try checkpoint.requireFormat(ofSuffix: output) }
    // With an output, the tensors that differ are read from an anchor instead of the checkpoint.
    guard
      let route = StoreRoute(
        from: table.fingerprint, to: end, in: index,
        anchors: output == nil || files.origin != nil ? .bytes : .none)
    else { throw unreachable(end, index) }
    var outcome = SwitchOutcome(
      from: index.versions[route.begin].name, to: name, links: route.steps.count,
      cost: route.cost, isThere: !route.isFromAnchor && route.steps.isEmpty)
    if outcome.isThere && output == nil { return outcome }
    let container = try replacing(replaced, in: checkpoint)
    let made: RouteOutcome
    if route.isFromAnchor {
      made = try replace(
        container, table, along: route, from: begin, to: end, of: index, output: output,
        overwriting: overwriting, progress: progress)
    } else {
      made = try follow(
        route, from: container, table, to: end, of: index, output: output,
        overwriting: overwriting, progress: progress)
    }
    outcome.tensors = made.tensors
    files.writeNotes()
    return outcome
  }

  /// Writes a version as a new checkpoint, in the format of an anchor.
  ///
  /// - Throws: `usage` for an output with the suffix of another format; otherwise as `switch`.
  public func get(
    _ name: String, to output: String, replacing replaced: [String: [UInt8]] = [:],
    overwriting: Bool = false, progress: ProgressHandler? = nil
  ) throws(DiffError) -> SwitchOutcome {
    let index = index
    let end = try index.number(of: name)
    let route = try anchorRoute(to: end, index)
    let anchor = try replacing(replaced, in: anchor(route.begin, index))
    try anchor.requireFormat(ofSuffix: output)
    let made = try follow(
      route, from: anchor, try anchorTable(route.begin, index), to: end, of: index,
      output: output, overwriting: overwriting, progress: progress)
    files.writeNotes()
    return SwitchOutcome(
      from: index.versions[route.begin].name, to: name, links: route.steps.count,
      tensors: made.tensors, cost: route.cost, isThere: route.steps.isEmpty)
  }

  /// Returns the checkpoint whose copy `get` changes to a version: an anchor.
  ///
  /// - Throws: `notFound` for a name; `checksum` for a file that is not the one of the index.
  package func container(of name: String) throws(DiffError) -> any Checkpoint {
    let index = index
    return try anchor(anchorRoute(to: index.number(of: name), index).begin, index)
  }

  /// Returns the route to a version from the anchor with the fewest bytes to read.
  private func anchorRoute(to end: Int, _ index: StoreIndex) throws(DiffError) -> StoreRoute {
    let route = StoreRoute(
      from: nil, to: end, in: index, anchors: files.origin == nil ? .none : .bytes)
    guard let route else { throw unreachable(end, index) }
    return route
  }

  /// Returns a folder of files with other contents of some; other checkpoints as they are.
  private func replacing(
    _ replaced: [String: [UInt8]], in checkpoint: any Checkpoint
  ) throws(DiffError) -> any Checkpoint {
    guard !replaced.isEmpty, let folder = checkpoint as? SafeTensorsFolder else {
      return checkpoint
    }
    return try SafeTensorsFolder(folder.path, replacing: replaced)
  }

  /// Takes a checkpoint along the links of a route.
  ///
  /// - Parameter table: the fingerprints of the checkpoint's tensors.
  private func follow(
    _ route: StoreRoute, from checkpoint: any Checkpoint, _ table: TensorTable, to end: Int,
    of index: StoreIndex, output: String?, overwriting: Bool, progress: ProgressHandler?
  ) throws(DiffError) -> RouteOutcome {
    let route = Route(try open(route.steps, index))
    return try verified(table, checkpoint, output, index.versions[end]) { check throws(DiffError) in
      try Diffs.follow(
        route, from: checkpoint, to: output, overwriting: overwriting, progress: progress,
        check: check)
    }
  }

  /// Replaces the tensors of a checkpoint that differ from those at the end of a route from an anchor.
  ///
  /// - Parameters:
  ///   - table: the fingerprints of the checkpoint's tensors.
  ///   - begin: the version of the checkpoint.
  private func replace(
    _ checkpoint: any Checkpoint, _ table: TensorTable, along route: StoreRoute, from begin: Int,
    to end: Int, of index: StoreIndex, output: String?, overwriting: Bool,
    progress: ProgressHandler?
  ) throws(DiffError) -> RouteOutcome {
    let steps = try open(route.steps, index)
    let anchor = try anchor(route.begin, index)
    var wanted = try anchorTable(route.begin, index)
    for step in steps { try wanted.take(step.diff, step.direction) }
    try require(wanted, index.versions[end], name)
    // Attributes of HDF5 change as along the links from the version of the checkpoint.
    let between =
      checkpoint.format == .hdf5 ? StoreRoute.steps(from: begin, to: end, in: index) : nil
    let source = steps.isEmpty ? anchor : try LinkedCheckpoint(anchor, steps)
    let attributes = try between.map { (steps) throws(DiffError) in try open(steps, index) } ?? []
    return try verified(table, checkpoint, output, index.versions[end]) { check throws(DiffError) in
      try Diffs.replace(
        checkpoint, by: source, wanted.differences(from: table), to: output,
        attributesOf: attributes, overwriting: overwriting, progress: progress, check: check)
    }
  }

  /// Makes a change whose outcome is compared with a version before it becomes visible, and keeps the
  /// fingerprints.
  ///
  /// - Parameter table: the fingerprints of the checkpoint's tensors.
  private func verified(
    _ table: TensorTable, _ checkpoint: any Checkpoint, _ output: String?, _ version: StoreVersion,
    _ change: ((RouteOutcome) throws(DiffError) -> Void) throws(DiffError) -> RouteOutcome
  ) throws(DiffError) -> RouteOutcome {
    var table = table
    let made = try change { (outcome) throws(DiffError) in
      table.take(outcome)
      try require(table, version, output ?? checkpoint.path)
    }
    keep(table, of: checkpoint, output)
    return made
  }

  /// Keeps the fingerprints of a written checkpoint beside it.
  private func keep(_ table: TensorTable, of checkpoint: any Checkpoint, _ output: String?) {
    // An open checkpoint keeps its lock, so the written one is opened only if it is another file.
    if let written = output.map({ try? CheckpointFile.open($0) }) ?? checkpoint {
      FingerprintCache(written).write(table)
    }
  }

  /// Returns the diffs of links, in their directions.
  func open(_ steps: [StoreRoute.Step], _ index: StoreIndex) throws(DiffError) -> [DiffStep] {
    let diffs = try files.open(steps.compactMap { index.versions[$0.link].link })
    return zip(diffs, steps).map { DiffStep($0, $1.isBackwards ? .revert : .apply) }
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
    var best: (number: Int, equal: Int)?
    try visitTables(of: index) { number, here in
      let equal = here.common(with: table)
      if equal > best?.equal ?? -1 { best = (number, equal) }
    }
    return best
  }
}

extension TensorTable {
  /// Sets the fingerprints of the tensors that following a route changed.
  fileprivate mutating func take(_ outcome: RouteOutcome) {
    for (name, fingerprint) in outcome.fingerprints where !name.isOptimizerState {
      self[name] = fingerprint
    }
  }

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
