import SystemSupport
import TensorCore

/// Versions of a checkpoint in a folder: full copies (anchors), the diffs between them (links), and an
/// index, which is replaced last.
///
///     let store = try Store("runs")
///     var options = AddOptions()
///     options.name = "step-7"
///     let added = try store.add(CheckpointFile.open("step-7"), options)
///     try store.get("step-3", to: "old")
///
/// Files never change, and the index is replaced as a whole: whoever reads sees the store as it was at
/// one moment, and needs no lock. Of two processes that change a store at the same time one gets an
/// error, and neither loses anything. `spec/STORE.md` describes the files.
public final class Store: Sendable {
  /// The folder; of a store that is elsewhere, the one that holds what has been needed of it.
  public let path: String
  /// What messages call it: the folder, or the address.
  public var name: String { files.name }
  /// What it held when it was opened, or last changed by this object.
  public var index: StoreIndex { state.withLock { $0.index } }

  let state: Guarded<(index: StoreIndex, tag: String?)>
  /// Which files were found to be whole, and where the others are.
  let files: StoreFiles

  /// Opens a store.
  ///
  /// - Throws: `not-found` if there is none, `malformed` or `limit` for an index that breaks a rule;
  ///   `io`.
  /// - Complexity: O(versions).
  public convenience init(_ path: String) throws(DiffError) {
    let files = StoreFiles(File.withoutFinalSlashes(path))
    let found = try files.readIndex()
    self.init(files, found.index)
  }

  /// Opens a store that is elsewhere.
  ///
  /// - Parameter folder: keeps what has been needed of it; made if it is not there. It may serve many
  ///   processes, and stay for later ones.
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

  /// Makes the folders of a store where they are not there.
  static func makeFolders(_ path: String) throws(DiffError) {
    for folder in [path, "\(path)/anchors", "\(path)/links"] { try Folder.create(folder) }
  }

  /// Reads the index anew: what other processes have added since.
  public func refresh() throws(DiffError) {
    let found = try files.readIndex(besides: state.withLock { $0 })
    state.withLock { $0 = (found.index, found.tag) }
  }

  /// The version of a name.
  public func version(_ name: String) throws(DiffError) -> StoreVersion {
    let index = index
    do { return index.versions[try index.number(of: name)] } catch {
      throw error.at(path: self.name)
    }
  }

  /// Changes the index under the store's lock: what `body` makes of it takes its place in one step.
  /// Files that it refers to must be in the folder, and durable; where the store is elsewhere they are
  /// taken there first.
  ///
  /// - Throws: `locked` or `changed` if another process is changing the store; what `body` throws, and
  ///   then the index stays.
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
