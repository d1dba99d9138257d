import Checkpoints
import DiffFormat
import DiffOperations
import Platform
import SystemSupport
import TensorCore

/// The result of adding a version to a store.
public struct Addition: Sendable {
  /// The new version.
  public var version: StoreVersion
  /// The summary of the diff that was created; nil if a diff was added.
  public var summary: CreateSummary?
}

/// The options of adding a version.
public struct AddOptions: Sendable {
  /// The name of the version; by default the beginning of its fingerprint, and then `compact` may
  /// combine its link with the next one.
  public var name: String?
  /// The parent version: by default the base of a diff, the version that a delta names, or the
  /// version added last.
  public var parent: String?
  /// The metadata of the version.
  public var metadata: [String: String] = [:]
  /// The profile by which encodings are chosen.
  public var profile = EncodingProfile.size

  /// Creates the default options.
  public init() {}
}

extension Store {
  /// Adds a checkpoint as the exact diff from its parent, and, if the links have grown, as an
  /// anchor.
  ///
  /// - Parameters:
  ///   - checkpoint: the checkpoint to add.
  ///   - options: the name, parent, metadata and profile of the version.
  ///   - source: the parent as a checkpoint, if there is one: reading it is faster than rebuilding
  ///     it from the store's links. It must be that version.
  ///   - progress: called repeatedly with the progress.
  /// - Throws: `locked` if another process is changing the store; `exists` for a name that is
  ///   taken; `wrongBase` if `source` is another version; the errors of `Diffs.create`. The store
  ///   is unchanged then.
  /// - Complexity: O(bytes of both checkpoints + changes since the last anchor).
  public func add(
    _ checkpoint: any Checkpoint, _ options: AddOptions = AddOptions(),
    from source: (any Checkpoint)? = nil, progress: ProgressHandler? = nil
  ) throws(DiffError) -> Addition {
    try edit { index throws(DiffError) in
      let parent = try parent(options, index)
      try check(options, index)
      let base: any Checkpoint
      if let source { base = source } else { base = try self.checkpoint(parent, index) }
      var creation = CreateOptions()
      creation.profile = options.profile
      creation.metadata = options.metadata
      let sink = try LinkSink(path, files)
      let summary = try Diffs.create(
        from: base, to: checkpoint, into: sink, creation, progress: progress)
      guard let found = summary.checkpoints else { throw .noFingerprint(checkpoint.path) }
      try require(found.base, isOf: index.versions[parent], base.path)
      let version = try insert(
        sink, options, from: parent, to: found.result, elements: summary.elements,
        metadata: options.metadata, into: &index
      ) { (version, _) throws(DiffError) in
        try makeAnchor(of: checkpoint, expecting: version.fingerprint, progress: progress).anchor
      }
      return Addition(version: version, summary: summary)
    }
  }

  /// Adds the result of a delta of another tool as the equivalent exact diff from its parent.
  ///
  /// - Parameter source: the parent as a checkpoint, if there is one.
  /// - Throws: the errors of `Diffs.import`; otherwise as for a checkpoint.
  /// - Complexity: O(bytes of the parent + changes since the last anchor).
  public func add(
    _ delta: PublishedDelta, _ options: AddOptions = AddOptions(),
    from source: (any Checkpoint)? = nil, progress: ProgressHandler? = nil
  ) throws(DiffError) -> Addition {
    try edit { index throws(DiffError) in
      let parent = try parent(options, delta, index)
      try check(options, index)
      let base: any Checkpoint
      if let source { base = source } else { base = try self.checkpoint(parent, index) }
      var importing = ImportOptions()
      importing.profile = options.profile
      importing.metadata = options.metadata
      let sink = try LinkSink(path, files)
      _ = try Diffs.import(delta, on: base, into: sink, importing, progress: progress)
      let diff = try sink.reader()
      guard let found = diff.checkpoints else { throw .noFingerprint(base.path) }
      try require(found.base, isOf: index.versions[parent], base.path)
      var metadata = options.metadata
      metadata[Self.deltaVersion] = metadata[Self.deltaVersion] ?? delta.version
      let version = try insert(
        sink, options, from: parent, to: found.result, elements: base.elementCount,
        metadata: metadata, into: &index
      ) { (version, index) throws(DiffError) in
        try makeAnchor(of: version, from: parent, by: diff, index, progress)
      }
      return Addition(version: version)
    }
  }

  /// The metadata key of the version that a delta states for its result.
  private static let deltaVersion = "delta_version"

  /// Adds a diff as it is, as the link from its parent to its result.
  ///
  /// - Throws: `mismatch` if it was not made for its parent, `checksum` if its result does not have
  ///   the fingerprints in the diff; `wrongBase` if no parent is specified and none or several of the
  ///   versions fit; otherwise as for a checkpoint.
  /// - Complexity: O(bytes of the tensors that change + changes since the last anchor).
  public func add(
    _ diff: DiffReader, _ options: AddOptions = AddOptions(), progress: ProgressHandler? = nil
  ) throws(DiffError) -> Addition {
    try edit { index throws(DiffError) in
      let parent = try parent(options, diff, index)
      try check(options, index)
      let base = try checkpoint(parent, index)
      let result = try result(of: diff, on: base, try table(parent, index))
      let sink = try LinkSink(path, files)
      try sink.copy(diff)
      var metadata = diff.metadata.filter { $0.key.hasPrefix("score.") || $0.key.hasPrefix("task") }
      metadata.merge(options.metadata) { $1 }
      let version = try insert(
        sink, options, from: parent, to: result, elements: base.elementCount, metadata: metadata,
        into: &index
      ) { (version, index) throws(DiffError) in
        try makeAnchor(of: version, from: parent, by: diff, index, progress)
      }
      return Addition(version: version)
    }
  }

  // MARK: Steps of adding

  private func check(_ options: AddOptions, _ index: StoreIndex) throws(DiffError) {
    guard let name = options.name else { return }
    try Self.checkName(name)
    guard !index.contains(name) else {
      throw DiffError(
        .exists, "has a version '\(name)' already; choose another name", path: self.name)
    }
  }

  private func require(
    _ fingerprint: Fingerprint, isOf parent: StoreVersion, _ path: String
  ) throws(DiffError) {
    guard fingerprint == parent.fingerprint else {
      throw DiffError(.wrongBase, "is not version '\(parent.name)', the parent", path: path)
    }
  }

  /// Makes the anchor of a version that a diff leads to.
  private func makeAnchor(
    of version: StoreVersion, from parent: Int, by diff: DiffReader, _ index: StoreIndex,
    _ progress: ProgressHandler?
  ) throws(DiffError) -> StoreAnchor {
    let (anchor, steps) = try descent(to: parent, index)
    return try makeAnchor(
      of: Route(steps + [DiffStep(diff)]), from: anchor, expecting: version.fingerprint,
      progress: progress)
  }

  private func parent(_ options: AddOptions, _ index: StoreIndex) throws(DiffError) -> Int {
    if let name = options.parent { return try index.number(of: name) }
    return index.versions.count - 1
  }

  /// Returns the specified parent, or the last version that has the name or the number of the delta's
  /// base, or else the version added last.
  private func parent(
    _ options: AddOptions, _ delta: PublishedDelta, _ index: StoreIndex
  ) throws(DiffError) -> Int {
    if options.parent == nil, let base = delta.baseVersion {
      let padded = String(repeating: "0", count: max(0, 6 - base.count)) + base
      let names = [base, padded, "weight_v" + padded]
      let named = index.versions.lastIndex {
        $0.metadata[Self.deltaVersion] == base || names.contains($0.name)
      }
      if let named { return named }
    }
    return try parent(options, index)
  }

  private func parent(
    _ options: AddOptions, _ diff: DiffReader, _ index: StoreIndex
  ) throws(DiffError) -> Int {
    if let name = options.parent { return try index.number(of: name) }
    if let base = diff.checkpoints?.base {
      if let number = index.versions.lastIndex(where: { $0.fingerprint == base }) { return number }
      throw DiffError(
        .wrongBase, "was made for the checkpoint \(base), which is not a version of the store",
        path: diff.path)
    }
    let parents = try versions(fitting: diff, index)
    let different = Set(parents.map { index.versions[$0].fingerprint })
    if different.count == 1, let last = parents.max() { return last }
    let names = parents.sorted().prefix(5).map { "'\(index.versions[$0].name)'" }
    throw DiffError(
      .wrongBase,
      parents.isEmpty
        ? "was not made for any version of the store"
        : "does not state the checkpoint that it was made for, and changes only tensors that are equal "
          + "in \(names.joined(separator: ", "))"
          + (parents.count > 5 ? " and \(parents.count - 5) more" : ""),
      path: diff.path, remedy: .parent)
  }

  /// Returns the versions whose tensors are those that a diff was made for.
  ///
  /// - Complexity: O(entries of all links).
  private func versions(fitting diff: DiffReader, _ index: StoreIndex) throws(DiffError) -> [Int] {
    if index.versions.count == 1 { return [0] }
    guard files.origin == nil else {
      throw DiffError(
        .usage, "does not state the checkpoint that it was made for", path: diff.path,
        remedy: .parent)
    }
    var found: [Int] = []
    try visitTables(of: index) { number, table in
      var table = table
      if (try? table.take(diff)) != nil { found.append(number) }
    }
    return found
  }

  /// Returns the fingerprint of the version that a diff leads to, by computing each changed tensor.
  private func result(
    of diff: DiffReader, on base: any Checkpoint, _ table: TensorTable
  ) throws(DiffError) -> Fingerprint {
    if let claimed = diff.checkpoints?.base, claimed != table.fingerprint {
      throw DiffError(
        .wrongBase, "was made for another checkpoint (\(claimed)) than its parent", path: diff.path)
    }
    var after = table
    try after.take(diff)
    let made = try LinkedCheckpoint(base, [DiffStep(diff)])
    let changed = Set(diff.map { $0.name.key.bare })
    for tensor in made.tensors where changed.contains(tensor.name.key.bare) {
      guard !tensor.isOptimizerState else { continue }
      guard try made.fingerprint(of: tensor) == after[tensor.name] else {
        throw DiffError(
          .checksum, "does not get the fingerprint that the diff states", path: diff.path,
          tensor: tensor.name)
      }
    }
    guard let result = after.fingerprint,
      diff.checkpoints.map({ $0.result == result }) ?? true
    else {
      throw DiffError(
        .checksum, "leads to another checkpoint than it states", path: diff.path)
    }
    return result
  }

  /// Adds a version with a written link, and with an anchor if it needs one, to the index.
  private func insert(
    _ sink: LinkSink, _ options: AddOptions, from parent: Int, to fingerprint: Fingerprint,
    elements: UInt64, metadata: [String: String], into index: inout StoreIndex,
    makeAnchor: (StoreVersion, StoreIndex) throws(DiffError) -> StoreAnchor
  ) throws(DiffError) -> StoreVersion {
    var (link, isNew) = try sink.commit(try sink.reader())
    link.elements = elements
    var version = StoreVersion(
      name: options.name ?? unusedName(fingerprint, index), isNamed: options.name != nil,
      fingerprint: fingerprint, parent: index.versions[parent].name, link: link, time: now(),
      metadata: metadata)
    do throws(DiffError) {
      if needsAnchor(link, parent, index) { version.anchor = try makeAnchor(version, index) }
      index.versions.append(version)
    } catch {
      if isNew { try? File.remove(files.path(of: link)) }
      throw error
    }
    return version
  }

  private func unusedName(_ fingerprint: Fingerprint, _ index: StoreIndex) -> String {
    let name = String(fingerprint.description.prefix(12))
    var number = 1
    while index.contains(number == 1 ? name : "\(name)-\(number)") { number += 1 }
    return number == 1 ? name : "\(name)-\(number)"
  }

  /// Returns whether the links since the last anchor exceed the limits of the index.
  private func needsAnchor(_ link: StoreLink, _ parent: Int, _ index: StoreIndex) -> Bool {
    let (anchor, links) = index.descent(to: parent)
    let bytes = links.compactMap { index.versions[$0].link?.file.size }.clampedSum
    let full = index.versions[anchor].anchor?.size ?? 0
    return Double(bytes) + Double(link.file.size) > index.anchorShare * Double(full)
      || UInt64(links.count) + 1 > index.anchorLinks
  }
}

extension Checkpoint {
  /// The number of elements, without optimizer state.
  fileprivate var elementCount: UInt64 {
    tensors.filter { !$0.isOptimizerState }.map(\.shape.count).clampedSum
  }
}

/// Returns the present time in seconds since 1970.
func now() -> UInt64 { UInt64(max(0, time(nil))) }
