import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// The result of fetching a version from another store.
public struct FetchOutcome: Sendable, Hashable {
  /// The names of the new versions, each after its parent.
  public var versions: [String] = []
  /// The number of links and anchors that were fetched, and their size in bytes.
  public var links = 0, anchors = 0, bytes: UInt64 = 0
}

extension Store {
  /// Fetches a version from another store into one in a folder, which is created if it does not
  /// exist: the links from the nearest version that it has, or an anchor and the links from it,
  /// whichever are fewer bytes.
  ///
  /// A store that is created gets the files of the model, too. Files are compared with the other
  /// store's index, and each version with its fingerprint, before this store's index refers to them;
  /// nothing else of this store changes. An attempt that fails leaves files for the next one.
  ///
  /// - Throws: `notFound`; `exists` if the folder has another version of that name; `checksum` if a
  ///   file or version does not match the index; `locked`, `io`.
  /// - Complexity: O(bytes that are fetched); those of an anchor are read twice more.
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
        "has another version with the name '\(index.versions[number].name)'; rename one of them",
        path: path)
    }
    var model = source.files.modelFiles(index)
    if made.model.isEmpty { made.model = index.model } else { model = [] }
    let needed =
      plan.files(index, source.files, files)
      + zip(model, files.modelFiles(made)).map { ($0.path, $0.file, $1.path) }
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
    var fetched: [StoreVersion] = []
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
      fetched.append(version)
      parent = version.name
    }
    fetch.versions = fetched.map(\.name)
    made.versions += fetched
    made.generation = (before?.index.generation ?? 0) + 1
    try files.write(made, replacing: before)
    files.writeNotes()
    return fetch
  }

  /// Verifies an anchor by its fingerprint, and stores the fingerprints of its tensors, which are
  /// returned.
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

  /// Verifies that a link leads from a version's tensors to the next version's, which are returned.
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

/// A plan of the versions to fetch from one store into another, by their indices.
private struct FetchPlan {
  /// The version whose anchor is fetched; nil if links suffice.
  let anchor: Int?
  /// The name, in the destination, of the version that the first link leads from.
  let parent: String?
  /// The versions, each after its parent.
  let versions: [Int]

  /// Plans the fetch of the fewest bytes.
  init(of end: Int, in index: StoreIndex, to known: StoreIndex) {
    let (anchor, links) = index.descent(to: end)
    let names = Dictionary(known.versions.map { ($0.fingerprint, $0.name) }) { $1 }
    let line = index.ancestry(of: end)
    func bytes(_ links: some Sequence<Int>) -> UInt64 {
      links.map { index.versions[$0].link?.file.size ?? 0 }.clampedSum
    }
    let full = [index.versions[anchor].anchor?.size ?? 0, bytes(links)].clampedSum
    // The destination has the version itself under another name at most.
    if let nearest = line.dropFirst().firstIndex(where: {
      names[index.versions[$0].fingerprint] != nil
    }), bytes(line[..<nearest]) <= full {
      self.anchor = nil
      parent = names[index.versions[line[nearest]].fingerprint]
      versions = line[..<nearest].reversed()
    } else {
      self.anchor = anchor
      parent = nil
      versions = [anchor] + links
    }
  }

  /// Returns the files to copy, with the paths in the source and in the destination.
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
