import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// What was removed from a store.
public struct Removal: Sendable, Hashable {
  /// Versions that are no longer there.
  public var versions: [String] = []
  /// Links that were made in place of several.
  public var links = 0
  /// Anchors that were made for versions whose roots went.
  public var anchors = 0
  /// Files that were removed, and their bytes.
  public var files = 0, bytes: UInt64 = 0
  /// Files that nothing refers to and that stay for a while, since others may be reading them.
  public var waiting = 0
}

extension Store {
  /// Removes a version. Versions that come from it get a link from its parent, or an anchor.
  ///
  /// Its files stay until `prune`, since others may be reading them.
  ///
  /// - Throws: `not-found`; `usage` for the only version; `locked`; `io`.
  public func remove(_ name: String) throws(DiffError) -> Removal {
    try edit { index throws(DiffError) in
      try drop([try index.number(of: name)], &index)
    }
  }

  /// Gives a version another name.
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

  /// Makes runs of exact links one link each. Versions that have a name stay, as do those with an
  /// anchor and those from which several come.
  ///
  /// - Parameter patterns: names that need not stay.
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

  /// Removes versions that are not to be kept, and files that nothing refers to.
  ///
  /// - Parameters:
  ///   - patterns: names of versions that stay; without any, and without `newest`, all stay.
  ///   - newest: how many of those stay that were added last.
  ///   - grace: for how many seconds files stay that nothing refers to any more.
  /// - Throws: `usage` if nothing would be left.
  public func prune(
    keeping patterns: [NamePattern] = [], newest: Int? = nil, grace: UInt64 = 3600
  ) throws(DiffError) -> Removal {
    guard files.origin == nil else {
      throw DiffError(
        .unsupported,
        "is not a folder, so its files are not removed; versions are, one by one", path: name)
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

  // MARK: Parts

  /// Takes versions out of the index.
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
        if let place = line.dropFirst().firstIndex(where: { !dropped.contains($0) }) {
          version.link = try joined(Array(line[..<place].reversed()), from: line[place], index)
          version.parent = index.versions[line[place]].name
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
    // From now on they may be waiting to be removed.
    for path in paths(before).subtracting(paths(index)) { File.touch(path) }
    return removal
  }

  /// One link in place of several, which lead one after the other from a version.
  private func joined(
    _ links: [Int], from parent: Int, _ index: StoreIndex
  ) throws(DiffError) -> StoreLink {
    let stored = links.compactMap { index.versions[$0].link }
    let end = links[links.count - 1]
    var sink = try LinkSink(path, files)
    do throws(DiffError) {
      guard stored.allSatisfy({ $0.kind == .exact }) else {
        throw DiffError(.unsupported, "additions are not composed")
      }
      _ = try Diffs.compose(try files.open(stored), into: sink)
    } catch {
      guard error.code == .unsupported else { throw error }
      // What links alone do not tell, the checkpoints do.
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

  /// The paths of all files and folders that an index refers to.
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

  /// Everything in the folders of links and anchors that the index does not refer to.
  func unused(_ index: StoreIndex) throws(DiffError) -> [String] {
    let used = paths(index)
    var unused: [String] = []
    for folder in ["links", "anchors"] {
      unused += try Folder.names("\(path)/\(folder)").map { "\(path)/\(folder)/\($0)" }
        .filter { !used.contains($0) }
    }
    return unused
  }

  /// Removes files that nothing has referred to for a while.
  private func collect(grace: UInt64, _ removal: inout Removal) throws(DiffError) {
    let lock = try files.lock()
    defer { withExtendedLifetime(lock) {} }
    let index = try files.readIndex().index
    let time = now()
    for path in try unused(index) {
      guard let stamp = FileStamp(path) else { continue }
      guard UInt64(max(0, stamp.modified)).addingReportingOverflow(grace).partialValue <= time
      else {
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
