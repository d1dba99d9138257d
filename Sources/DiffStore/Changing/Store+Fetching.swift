import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// What was brought from one store to another.
public struct FetchOutcome: Sendable, Hashable {
  /// The names of the versions that are new, each after its parent.
  public var versions: [String] = []
  /// Links and anchors that were brought, and their bytes.
  public var links = 0, anchors = 0, bytes: UInt64 = 0
}

extension Store {
  /// Brings a version from another store to one in a folder, which is made if there is none: links from
  /// the nearest version that is there, or an anchor and the links from it, whichever are fewer bytes.
  ///
  /// What is brought is compared with the other store's index, and each version with its fingerprint,
  /// before this store's index tells of it; nothing of this store changes else. An attempt that ends
  /// before leaves files for the next one.
  ///
  /// - Throws: `not-found`; `exists` if the folder has another version of that name; `checksum` for
  ///   what is not as the index says; `locked`, `io`.
  /// - Complexity: O(bytes that are brought), with those of an anchor read twice more.
  public static func fetch(
    _ name: String, from source: Store, to path: String
  ) throws(DiffError) -> FetchOutcome {
    let path = File.withoutFinalSlashes(path)
    let index = source.index
    let end = try index.number(of: name)
    let files = StoreFiles(path)
    let isNew = !File.exists(files.indexPath)
    if isNew {
      try Folder.create(path)
      try requireEmpty(path)
      try makeFolders(path)
    }
    let lock = try files.lock()
    defer { withExtendedLifetime(lock) {} }
    let before = try isNew ? nil : files.readIndex()
    var made: StoreIndex
    if let before {
      made = before.index
    } else {
      made = try StoreIndex(sharing: index.anchorShare, links: index.anchorLinks)
    }
    let store = Store(files, made)
    var fetch = FetchOutcome()
    if made[name]?.fingerprint == index.versions[end].fingerprint { return fetch }
    let plan = FetchPlan(of: end, in: index, to: made)
    for number in plan.versions where made.contains(index.versions[number].name) {
      throw DiffError(
        .exists,
        "has another version '\(index.versions[number].name)' than the store that it comes from; "
          + "rename it", path: path)
    }
    let needed = plan.files(index, source.files, files)
    try FreeSpace.require(needed.map(\.file.size).clampedSum, at: files.indexPath)
    for (_, _, to) in needed { try files.makeFolders(to: to) }
    try parallelFor(needed.count) { number throws(DiffError) in
      let (from, file, to) = needed[number]
      try source.files.copy(from, file, to: to)
    }
    var parent = plan.parent
    var table = try parent.map { (name) throws(DiffError) in
      try store.table(try made.number(of: name), made)
    }
    var brought: [StoreVersion] = []
    for number in plan.versions {
      var version = index.versions[number]
      version.parent = parent
      if let before = table {
        version.anchor = nil
        table = try store.prove(version, after: before)
        fetch.links += 1
        fetch.bytes += version.link?.file.size ?? 0
      } else {
        version.link = nil
        table = try store.prove(version)
        fetch.anchors += 1
        fetch.bytes += version.anchor?.size ?? 0
      }
      brought.append(version)
      parent = version.name
    }
    fetch.versions = brought.map(\.name)
    made.versions += brought
    made.generation = (before?.index.generation ?? 0) + 1
    try files.write(made, replacing: before)
    files.writeNotes()
    return fetch
  }

  /// Proves an anchor complete, and keeps the fingerprints of its tensors.
  private func prove(_ version: StoreVersion) throws(DiffError) -> TensorTable {
    guard let anchor = version.anchor else {
      throw DiffError(.malformed, "no anchor leads to version '\(version.name)'", path: name)
    }
    let table = TensorTable(try CheckpointFile.open(files.path(of: anchor)).fingerprints())
    try require(table, version, files.path(of: anchor))
    guard try files.table(of: anchor) != table else { return table }
    try OutputFile.write(
      Array(table.text.utf8), to: files.tablePath(of: anchor), overwriting: false)
    return table
  }

  /// Proves that a link leads from a version's tensors to the next version's, which are returned.
  private func prove(
    _ version: StoreVersion, after before: TensorTable
  ) throws(DiffError) -> TensorTable {
    var table = before
    for diff in try files.open(version.link.map { [$0] } ?? []) {
      try table.take(diff)
      try require(table, version, diff.path)
    }
    return table
  }
}

/// The versions that are brought from one store to another, by their numbers.
private struct FetchPlan {
  /// The one of which an anchor is brought; nil if all come by links.
  let anchor: Int?
  /// The name, where they are brought to, of the version that the first link leads from.
  let parent: String?
  /// In order.
  let versions: [Int]

  /// The fewest bytes.
  init(of end: Int, in index: StoreIndex, to known: StoreIndex) {
    let (anchor, links) = index.descent(to: end)
    let names = Dictionary(known.versions.map { ($0.fingerprint, $0.name) }) { $1 }
    let line = index.ancestry(of: end)
    func bytes(_ links: some Sequence<Int>) -> UInt64 {
      links.map { index.versions[$0].link?.file.size ?? 0 }.clampedSum
    }
    let full = [index.versions[anchor].anchor?.size ?? 0, bytes(links)].clampedSum
    // The version itself is there under another name at most.
    if let place = line.dropFirst().firstIndex(where: {
      names[index.versions[$0].fingerprint] != nil
    }), bytes(line[..<place]) <= full {
      self.anchor = nil
      parent = names[index.versions[line[place]].fingerprint]
      versions = line[..<place].reversed()
    } else {
      self.anchor = anchor
      parent = nil
      versions = [anchor] + links
    }
  }

  /// What has to be copied, from where to where.
  func files(
    _ index: StoreIndex, _ source: StoreFiles, _ destination: StoreFiles
  ) -> [(from: String, file: StoreFile, to: String)] {
    versions.flatMap { number -> [(from: String, file: StoreFile, to: String)] in
      let version = index.versions[number]
      if number == anchor, let anchor = version.anchor {
        return zip(source.files(of: anchor), destination.files(of: anchor))
          .map { ($0.path, $0.file, $1.path) }
      }
      return version.link.map { [(source.path(of: $0), $0.file, destination.path(of: $0))] } ?? []
    }
  }
}
