import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// The result of removing versions or files from a store.
public struct Removal: Sendable, Hashable {
  /// The names of the versions that were removed.
  public var versions: [String] = []
  /// The number of links that were combined from several.
  public var links = 0
  /// The number of anchors that were made for versions that lost all their ancestors.
  public var anchors = 0
  /// The number of files that were removed, and their size in bytes.
  public var files = 0, bytes: UInt64 = 0
  /// The number of unreferenced files that are kept for a while, since others may be reading them.
  public var waiting = 0
}

extension Store {
  /// Removes a version. Its children get a link from its parent, or an anchor.
  ///
  /// Its files are kept until `prune`, since others may be reading them.
  ///
  /// - Throws: `notFound`; `usage` for the only version; `locked`; `io`.
  public func remove(_ name: String) throws(DiffError) -> Removal {
    try edit { index throws(DiffError) in
      try drop([try index.number(of: name)], &index)
    }
  }

  /// Renames a version.
  public func rename(_ name: String, to other: String) throws(DiffError) {
    try Self.checkName(other)
    try edit { index throws(DiffError) in
      let number = try index.number(of: name)
      guard !index.contains(other) || other == name else {
        throw DiffError(
          .exists, "has a version '\(other)' already; choose another name", path: self.name)
      }
      var versions = index.versions
      for child in versions.indices where versions[child].parent == name {
        versions[child].parent = other
      }
      versions[number].name = other
      versions[number].isNamed = true
      index.versions = versions
    }
  }

  /// Combines successive exact links into one link each. Versions with a name are kept, as are
  /// versions with an anchor or with several children.
  ///
  /// - Parameter patterns: the names that need not be kept.
  /// - Complexity: O(changes of the links).
  public func compact(dropping patterns: [NamePattern] = []) throws(DiffError) -> Removal {
    try edit { index throws(DiffError) in
      let children = index.children
      let dropped = index.versions.indices.filter { number in
        let version = index.versions[number]
        let isFree =
          !version.isNamed || patterns.contains { $0.matches(TensorName(version.name)) }
        let next = children[number] ?? []
        return isFree && version.anchor == nil && version.link?.kind == .exact && next.count == 1
          && index.versions[next[0]].link?.kind == .exact
      }
      return try drop(Set(dropped), &index)
    }
  }

  /// Removes versions that are not to be kept, and unreferenced files.
  ///
  /// - Parameters:
  ///   - patterns: the names of versions to keep; without any, and without `newest`, all are kept.
  ///   - newest: the number of most recently added versions to keep.
  ///   - grace: the number of seconds for which unreferenced files are kept.
  /// - Throws: `usage` if no version would be left; `unsupported` for a remote store.
  public func prune(
    keeping patterns: [NamePattern] = [], newest: Int? = nil, grace: UInt64 = 3600
  ) throws(DiffError) -> Removal {
    guard files.origin == nil else {
      throw DiffError(
        .unsupported,
        "is not a folder, so its files cannot be removed; versions can, one by one", path: name)
    }
    var removal = Removal()
    if !patterns.isEmpty || newest != nil {
      removal = try edit { index throws(DiffError) in
        let first = index.versions.count - (newest ?? 0)
        return try drop(
          Set(
            index.versions.indices.filter { number in
              number < first
                && !patterns.contains { $0.matches(TensorName(index.versions[number].name)) }
            }), &index)
      }
    }
    try collect(grace: grace, &removal)
    return removal
  }

  // MARK: Steps of removing

  /// Removes versions from the index.
  private func drop(
    _ dropped: Set<Int>, _ index: inout StoreIndex
  ) throws(DiffError) -> Removal {
    guard dropped.count < index.versions.count else {
      throw DiffError(.usage, "would have no version left", path: name)
    }
    var removal = Removal()
    removal.versions = dropped.sorted().map { index.versions[$0].name }
    var kept: [StoreVersion] = []
    for number in index.versions.indices where !dropped.contains(number) {
      var version = index.versions[number]
      if let parent = index.parent(of: number), dropped.contains(parent) {
        let line = index.ancestry(of: number)
        if let nearest = line.dropFirst().firstIndex(where: { !dropped.contains($0) }) {
          version.link = try joined(Array(line[..<nearest].reversed()), from: line[nearest], index)
          version.parent = index.versions[line[nearest]].name
          removal.links += 1
        } else {
          if version.anchor == nil {
            let (anchor, steps) = try descent(to: number, index)
            version.anchor = try makeAnchor(
              of: Route(steps), from: anchor, expecting: version.fingerprint, progress: nil)
            removal.anchors += 1
          }
          (version.parent, version.link) = (nil, nil)
        }
      }
      kept.append(version)
    }
    let before = index
    index.versions = kept
    // The grace period of `prune` begins now.
    for path in paths(before).subtracting(paths(index)) { File.touch(path) }
    return removal
  }

  /// Combines several successive links that begin at a version into one.
  private func joined(
    _ links: [Int], from parent: Int, _ index: StoreIndex
  ) throws(DiffError) -> StoreLink {
    let stored = links.compactMap { index.versions[$0].link }
    let end = links[links.count - 1]
    var sink = try LinkSink(path, files)
    do throws(DiffError) {
      guard stored.allSatisfy({ $0.kind == .exact }) else {
        throw DiffError(.unsupported, "additive links cannot be combined")
      }
      _ = try Diffs.compose(try files.open(stored), into: sink)
    } catch {
      guard error.code == .unsupported else { throw error }
      // If the links do not suffice, the checkpoints do.
      sink = try LinkSink(path, files)
      _ = try Diffs.create(
        from: try checkpoint(parent, index), to: try checkpoint(end, index), into: sink)
    }
    let reader = try sink.reader()
    var table = try table(parent, index)
    try table.take(reader)
    try require(table, index.versions[end], reader.path)
    var link = try sink.commit(reader).link
    link.elements = stored[0].elements
    return link
  }

  /// Returns the paths of all files and folders that an index refers to.
  func paths(_ index: StoreIndex) -> Set<String> {
    var paths: Set<String> = []
    for version in index.versions {
      if let link = version.link { paths.insert(files.path(of: link)) }
      if let anchor = version.anchor {
        paths.formUnion([files.path(of: anchor), files.tablePath(of: anchor)])
      }
    }
    return paths
  }

  /// Returns the paths in the folders of links and anchors that the index does not refer to.
  func unused(_ index: StoreIndex) throws(DiffError) -> [String] {
    let used = paths(index)
    var unused: [String] = []
    for folder in ["links", "anchors"] {
      unused += try Folder.names("\(path)/\(folder)").map { "\(path)/\(folder)/\($0)" }
        .filter { !used.contains($0) }
    }
    return unused
  }

  /// Removes files that have been unreferenced for the grace period.
  private func collect(grace: UInt64, _ removal: inout Removal) throws(DiffError) {
    let lock = try files.lock()
    defer { withExtendedLifetime(lock) {} }
    let index = try files.readIndex().index
    let time = now()
    for path in try unused(index) {
      guard let stamp = FileStamp(path) else { continue }
      guard [UInt64(max(0, stamp.modified)), grace].clampedSum <= time else {
        removal.waiting += 1
        continue
      }
      removal.files += 1
      removal.bytes += Self.size(of: path)
      if Folder.exists(path) { Folder.remove(path) } else { try File.remove(path) }
    }
    files.forget()
  }

  private static func size(of path: String) -> UInt64 {
    guard Folder.exists(path) else { return (try? File(path).size) ?? 0 }
    return ((try? Folder.names(path)) ?? []).map { size(of: "\(path)/\($0)") }.clampedSum
  }
}
