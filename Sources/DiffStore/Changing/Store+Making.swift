import Checkpoints
import DiffOperations
import Kernels
import SystemSupport
import TensorCore

extension Store {
  /// Creates a store in a new folder, or in an empty one, with a checkpoint as its first version.
  ///
  /// - Parameters:
  ///   - path: the path of the folder.
  ///   - checkpoint: the first version.
  ///   - name: the name of the first version.
  ///   - metadata: the metadata of the first version.
  ///   - model: paths of other files of the model to keep, such as `config.json`; a checkpoint in a
  ///     folder is copied with them.
  ///   - anchorShare: a version gets an anchor when the links since the last one take more than
  ///     this share of a full copy.
  ///   - anchorLinks: the maximum number of links between a version and its anchor.
  ///   - progress: called repeatedly with the progress.
  /// - Throws: `exists` if there is a store; `unsupported` for a checkpoint whose names are
  ///   ambiguous; `io`.
  /// - Complexity: O(bytes): the checkpoint is copied and hashed.
  public static func create(
    _ path: String, base checkpoint: any Checkpoint, named name: String = "base",
    metadata: [String: String] = [:], model: [String] = [], anchorShare: Double = 0.5,
    anchorLinks: UInt64 = 1000, progress: ProgressHandler? = nil
  ) throws(DiffError) -> Store {
    let path = File.withoutFinalSlashes(path)
    try checkName(name)
    let index = try StoreIndex(sharing: anchorShare, links: anchorLinks)
    try Folder.create(path)
    try requireEmpty(path)
    return try create(
      StoreFiles(path), checkpoint, named: name, metadata, model, index, progress: progress)
  }

  /// Creates a remote store.
  ///
  /// - Parameter folder: a local folder for the new files before they are uploaded.
  package static func create(
    at origin: any StoreOrigin, keptIn folder: String, base checkpoint: any Checkpoint,
    named name: String, metadata: [String: String], model: [String] = [], anchorShare: Double,
    anchorLinks: UInt64, progress: ProgressHandler? = nil
  ) throws(DiffError) -> Store {
    try checkName(name)
    let index = try StoreIndex(sharing: anchorShare, links: anchorLinks)
    guard try origin.index(limit: StoreIndex.sizeLimit) == nil else {
      throw .storeExists(origin.name)
    }
    return try create(
      StoreFiles(folder, origin), checkpoint, named: name, metadata, model, index,
      progress: progress)
  }

  private static func create(
    _ files: StoreFiles, _ checkpoint: any Checkpoint, named name: String,
    _ metadata: [String: String], _ model: [String], _ empty: StoreIndex,
    progress: ProgressHandler?
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
      index.model = try model.map { (path) throws(DiffError) in try files.keep(path) }
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

  /// Refuses a folder that is not empty, except for the files that a failed attempt has left.
  static func requireEmpty(_ path: String) throws(DiffError) {
    let others = Set(try Folder.names(path)).subtracting(["anchors", "links", "lock", "model"])
    guard !others.contains("store.json") else { throw .storeExists(path) }
    guard others.isEmpty else {
      throw DiffError(.exists, "is not empty, so no store is created in it", path: path)
    }
  }

  static func checkName(_ name: String) throws(DiffError) {
    guard name.isVersionName else {
      throw DiffError(
        .usage,
        "'\(name)' is not a valid name: 1 to 200 bytes without white space, '/' and '\\', "
          + "not beginning with '.' or '-'")
    }
  }

  /// Copies a checkpoint into the store and verifies the copy by its fingerprint.
  ///
  /// - Parameter expected: the required fingerprint; nil for any.
  /// - Throws: `checksum` if the copy has another one.
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

  /// Writes the result of a route from an anchor as a new anchor.
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

  /// Returns a name that is unused in the folder of anchors, which may have files of killed
  /// processes until `prune`.
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
    let anchorPath = "\(path)/anchors/\(name)"
    var anchor = StoreAnchor(name: name, isFolder: isFolder, files: [])
    do throws(DiffError) {
      let table = TensorTable(try CheckpointFile.open(anchorPath).fingerprints(progress: progress))
      guard let fingerprint = table.fingerprint else { throw .noFingerprint(anchorPath) }
      guard expected == nil || expected == fingerprint else {
        throw DiffError(
          .checksum, "the copy has the fingerprint \(fingerprint), not \(expected ?? fingerprint)",
          path: anchorPath)
      }
      for name in isFolder ? try Self.files(below: anchorPath) : [name] {
        let path = isFolder ? "\(anchorPath)/\(name)" : anchorPath
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

  /// Returns the files in a folder and its subfolders, as paths relative to the folder.
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
    let anchorPath = files.path(of: anchor)
    if anchor.isFolder { Folder.remove(anchorPath) } else { try? File.remove(anchorPath) }
    try? File.remove(files.tablePath(of: anchor))
  }
}

extension StoreFiles {
  /// Copies a file of the model into the store.
  fileprivate func keep(_ path: String) throws(DiffError) -> StoreFile {
    let name = OutputFile.split(path).name
    let destination = "\(modelPath)/\(name)"
    try makeFolders(to: destination)
    let source = try File(path)
    let size = try source.size
    // A failed attempt may have left one.
    let output = try OutputFile(destination, overwriting: true)
    try source.copy(0..<size, to: output.file)
    let sha256 = try SHA256.of(output.file)
    try output.commit()
    return StoreFile(name: name, size: size, sha256: sha256)
  }
}

extension StoreIndex {
  /// Creates an index without versions.
  ///
  /// - Throws: `usage` for limits that no version can keep.
  init(sharing share: Double, links: UInt64) throws(DiffError) {
    guard share > 0, share.isFinite, links > 0 else {
      throw DiffError(
        .usage, "the share for an anchor must be above 0, and its number of links 1 or more")
    }
    self.init(anchorShare: share, anchorLinks: links)
  }
}

extension DiffError {
  fileprivate static func storeExists(_ path: String) -> DiffError {
    DiffError(.exists, "is a store already", path: path)
  }

  /// The error of a checkpoint that cannot be a version.
  static func noFingerprint(_ path: String) -> DiffError {
    DiffError(
      .unsupported,
      "has tensors whose names differ in a final ':0' or in separators only, so it has no "
        + "fingerprint", path: path)
  }
}
