import Checkpoints
import DiffOperations
import Kernels
import SystemSupport
import TensorCore

extension Store {
  /// Makes a store in a new folder, or in an empty one, with a checkpoint as its first version.
  ///
  /// - Parameters:
  ///   - anchorShare: a version gets an anchor when the links since the last one take more than this
  ///     share of a full copy…
  ///   - anchorLinks: … or are more than so many.
  /// - Throws: `exists` if there is a store; `unsupported` for a checkpoint whose names are ambiguous;
  ///   `io`.
  /// - Complexity: O(bytes): the checkpoint is copied and hashed.
  public static func create(
    _ path: String, base checkpoint: any Checkpoint, named name: String = "base",
    metadata: [String: String] = [:], anchorShare: Double = 0.5, anchorLinks: UInt64 = 1000,
    progress: ProgressHandler? = nil
  ) throws(DiffError) -> Store {
    let path = File.withoutFinalSlashes(path)
    try checkName(name)
    let index = try StoreIndex(sharing: anchorShare, links: anchorLinks)
    try Folder.create(path)
    try requireEmpty(path)
    return try create(
      StoreFiles(path), checkpoint, named: name, metadata, index, progress: progress)
  }

  /// Makes a store elsewhere, as in a folder.
  ///
  /// - Parameter folder: keeps the new files, too.
  package static func create(
    at origin: any StoreOrigin, keptIn folder: String, base checkpoint: any Checkpoint,
    named name: String, metadata: [String: String], anchorShare: Double, anchorLinks: UInt64,
    progress: ProgressHandler? = nil
  ) throws(DiffError) -> Store {
    try checkName(name)
    let index = try StoreIndex(sharing: anchorShare, links: anchorLinks)
    guard try origin.index(limit: StoreIndex.sizeLimit) == nil else {
      throw .storeExists(origin.name)
    }
    return try create(
      StoreFiles(folder, origin), checkpoint, named: name, metadata, index, progress: progress)
  }

  private static func create(
    _ files: StoreFiles, _ checkpoint: any Checkpoint, named name: String,
    _ metadata: [String: String], _ empty: StoreIndex, progress: ProgressHandler?
  ) throws(DiffError) -> Store {
    try makeFolders(files.path)
    let lock = try files.lock()
    defer { withExtendedLifetime(lock) {} }
    var index = empty
    index.generation = 1
    let store = Store(files, index)
    let made = try store.makeAnchor(of: checkpoint, progress: progress)
    do throws(DiffError) {
      index.versions = [
        StoreVersion(
          name: name, isNamed: true, fingerprint: made.fingerprint, anchor: made.anchor,
          time: now(), metadata: metadata)
      ]
      try files.publish(index, besides: nil)
      try files.write(index, replacing: nil)
    } catch {
      store.remove(made.anchor)
      throw error
    }
    store.state.withLock { $0 = (index, nil) }
    files.writeNotes()
    return store
  }

  /// Refuses a folder that has something in it, but for what an attempt that failed has left.
  static func requireEmpty(_ path: String) throws(DiffError) {
    let strangers = Set(try Folder.names(path)).subtracting(["anchors", "links", "lock"])
    guard !strangers.contains("store.json") else { throw .storeExists(path) }
    guard strangers.isEmpty else {
      throw DiffError(.exists, "is not empty, so no store is made there", path: path)
    }
  }

  static func checkName(_ name: String) throws(DiffError) {
    guard name.isVersionName else {
      throw DiffError(
        .usage,
        "'\(name)' is no name of a version: 1 to 200 bytes without white space, '/' and '\\', "
          + "not beginning with '.' or '-'")
    }
  }

  /// Copies a checkpoint into the store and proves the copy complete by its fingerprint.
  ///
  /// - Parameter expected: the fingerprint that it must have.
  /// - Throws: `checksum` if it has another one.
  func makeAnchor(
    of checkpoint: any Checkpoint, expecting expected: Fingerprint? = nil,
    progress: ProgressHandler? = nil
  ) throws(DiffError) -> (anchor: StoreAnchor, fingerprint: Fingerprint) {
    let isFolder = checkpoint.files != [checkpoint.path]
    let name = anchorName(checkpoint.format, isFolder: isFolder)
    try checkpoint.makeOutput(
      at: "\(path)/anchors/\(name)", rewriting: [], overwriting: false
    ).commit()
    return try finish(name, isFolder: isFolder, expecting: expected, progress: progress)
  }

  /// Writes what steps make of an anchor as another one.
  func makeAnchor(
    of route: Route, from anchor: any Checkpoint, expecting expected: Fingerprint,
    progress: ProgressHandler? = nil
  ) throws(DiffError) -> StoreAnchor {
    let isFolder = anchor.files != [anchor.path]
    let name = anchorName(anchor.format, isFolder: isFolder)
    _ = try Diffs.follow(
      route, from: anchor, to: "\(path)/anchors/\(name)", progress: progress)
    return try finish(name, isFolder: isFolder, expecting: expected, progress: progress).anchor
  }

  /// A name that nothing in the folder of anchors has. What a killed process has left there stays
  /// until `prune`.
  private func anchorName(_ format: CheckpointFormat?, isFolder: Bool) -> String {
    let suffix = isFolder ? "" : format == .hdf5 ? ".h5" : ".safetensors"
    while true {
      let name = UInt64.random(in: .min ... .max).hexadecimal + suffix
      if !File.exists("\(path)/anchors/\(name)") { return name }
    }
  }

  private func finish(
    _ name: String, isFolder: Bool, expecting expected: Fingerprint?, progress: ProgressHandler?
  ) throws(DiffError) -> (anchor: StoreAnchor, fingerprint: Fingerprint) {
    let place = "\(path)/anchors/\(name)"
    var anchor = StoreAnchor(name: name, isFolder: isFolder, files: [])
    do throws(DiffError) {
      let table = TensorTable(try CheckpointFile.open(place).fingerprints(progress: progress))
      guard let fingerprint = table.fingerprint else { throw .noFingerprint(place) }
      guard expected == nil || expected == fingerprint else {
        throw DiffError(
          .checksum, "the copy has the fingerprint \(fingerprint), not \(expected ?? fingerprint)",
          path: place)
      }
      for name in isFolder ? try Self.files(below: place) : [name] {
        let path = isFolder ? "\(place)/\(name)" : place
        let (file, stamp) = (try File(path), FileStamp(path))
        let found = StoreFile(name: name, size: try file.size, sha256: try SHA256.of(file))
        anchor.files.append(found)
        // It was read to be hashed, which is what its first reader would do.
        if let stamp { files.note(path, found, at: stamp) }
      }
      try OutputFile.write(
        Array(table.text.utf8), to: files.tablePath(of: anchor), overwriting: false)
      return (anchor, fingerprint)
    } catch {
      remove(anchor)
      throw error
    }
  }

  /// The files in a folder and in those below it, by their paths from there.
  private static func files(below folder: String) throws(DiffError) -> [String] {
    var found: [String] = []
    for name in try Folder.names(folder) {
      guard Folder.exists("\(folder)/\(name)") else {
        found.append(name)
        continue
      }
      found += try files(below: "\(folder)/\(name)").map { "\(name)/\($0)" }
    }
    return found
  }

  /// Removes the files of an anchor that no index refers to.
  func remove(_ anchor: StoreAnchor) {
    let place = files.path(of: anchor)
    if anchor.isFolder { Folder.remove(place) } else { try? File.remove(place) }
    try? File.remove(files.tablePath(of: anchor))
  }
}

extension StoreIndex {
  /// An index without versions.
  ///
  /// - Throws: `usage` for limits that no version keeps.
  init(sharing share: Double, links: UInt64) throws(DiffError) {
    guard share > 0, share.isFinite, links > 0 else {
      throw DiffError(.usage, "anchors are made by a share above 0, and of one link or more")
    }
    self.init(anchorShare: share, anchorLinks: links)
  }
}

extension DiffError {
  fileprivate static func storeExists(_ path: String) -> DiffError {
    DiffError(.exists, "is a store already", path: path)
  }

  /// A checkpoint that cannot be a version.
  static func noFingerprint(_ path: String) -> DiffError {
    DiffError(
      .unsupported,
      "has tensors whose names differ in a final ':0' or in separators only, so it has no "
        + "fingerprint", path: path)
  }
}
