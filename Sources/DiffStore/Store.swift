import SystemSupport
import TensorCore

/// A store of versions of a checkpoint in a folder: full copies (anchors), the diffs between
/// versions (links), and an index, which is replaced last.
///
///     let store = try Store("runs")
///     var options = AddOptions()
///     options.name = "step-7"
///     let added = try store.add(CheckpointFile.open("step-7"), options)
///     try store.get("step-3", to: "old")
///
/// Files never change, and the index is replaced as a whole: readers see the store as it was at one
/// moment, and need no lock. If two processes change a store at the same time, one gets an error,
/// and neither loses anything. `spec/STORE.md` describes the files.
public final class Store: Sendable {
  /// The folder; of a remote store, the folder that holds the files that have been needed.
  public let path: String
  /// The name of the store in messages: the folder, or the address.
  public var name: String { files.name }
  /// The index as it was last read, or written by this object.
  public var index: StoreIndex { state.withLock { $0.index } }

  let state: Guarded<(index: StoreIndex, tag: String?)>
  /// The files of the store.
  let files: StoreFiles

  /// Opens a store.
  ///
  /// - Throws: `notFound` if there is none, `malformed` or `limit` for an invalid index; `io`.
  /// - Complexity: O(versions).
  public convenience init(_ path: String) throws(DiffError) {
    let files = StoreFiles(File.withoutFinalSlashes(path))
    let found = try files.readIndex()
    self.init(files, found.index)
  }

  /// Opens a remote store.
  ///
  /// - Parameter folder: holds the files that have been needed; created if it does not exist.
  ///   Several processes may share it, and later ones use it again.
  package convenience init(_ origin: any StoreOrigin, keptIn folder: String) throws(DiffError) {
    try Self.makeFolders(folder)
    let files = StoreFiles(folder, origin)
    let found = try files.readIndex()
    self.init(files, found.index, tag: found.tag)
  }

  init(_ files: StoreFiles, _ index: StoreIndex, tag: String? = nil) {
    path = files.path
    self.files = files
    state = Guarded((index, tag))
  }

  /// Creates the folders of a store that do not exist.
  static func makeFolders(_ path: String) throws(DiffError) {
    for folder in [path, "\(path)/anchors", "\(path)/links"] { try Folder.create(folder) }
  }

  /// Refuses a path that is a file of a store, or would be, since such files never change.
  ///
  /// - Throws: `usage`.
  /// - Complexity: O(depth of the path).
  public static func refuseFile(_ path: String) throws(DiffError) {
    let split = OutputFile.split(path)
    guard let folder = File.realPath(split.folder) else { return }
    var parts = folder.split(separator: "/", omittingEmptySubsequences: false)[...]
    var inside = split.name[...]
    while !parts.isEmpty {
      let store = parts.joined(separator: "/")
      if ["anchors", "links", "model", "store.json"].contains(inside),
        File.isRegular(StoreFiles(store).indexPath)
      {
        throw DiffError(.usage, "is in the store \(store), whose files never change", path: path)
      }
      inside = parts.removeLast()
    }
  }

  /// Reads the index again, with the versions that other processes have added.
  public func refresh() throws(DiffError) {
    let found = try files.readIndex(besides: state.withLock { $0 })
    state.withLock { $0 = (found.index, found.tag) }
  }

  /// Returns the version of a name.
  public func version(_ name: String) throws(DiffError) -> StoreVersion {
    let index = index
    do { return index.versions[try index.number(of: name)] } catch {
      throw error.at(path: self.name)
    }
  }

  /// Changes the index under the store's lock: the index that `body` leaves replaces the present
  /// one in one step. Files that it refers to must be in the folder, and durable; for a remote
  /// store they are uploaded first.
  ///
  /// - Throws: `locked` or `changed` if another process is changing the store; the errors of
  ///   `body`. The index is unchanged then.
  func edit<Result>(
    _ body: (inout StoreIndex) throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    let lock = try files.lock()
    let before = try files.readIndex()
    var index = before.index
    let result = try body(&index)
    guard index != before.index else { return result }
    index.generation = before.index.generation + 1
    try files.publish(index, besides: before.index)
    try files.write(index, replacing: before)
    withExtendedLifetime(lock) {}
    let written = index
    state.withLock { $0 = (written, nil) }
    files.writeNotes()
    return result
  }
}
