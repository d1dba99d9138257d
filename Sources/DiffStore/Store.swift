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
  /// The folder.
  public let path: String
  /// What it held when it was opened, or last changed by this object.
  public var index: StoreIndex { state.withLock { $0 } }

  let state: Guarded<StoreIndex>
  /// Which files were found to be whole.
  let files: StoreFiles

  /// Opens a store.
  ///
  /// - Throws: `not-found` if there is none, `malformed` or `limit` for an index that breaks a rule;
  ///   `io`.
  /// - Complexity: O(versions).
  public init(_ path: String) throws(DiffError) {
    let path = File.withoutFinalSlashes(path)
    self.path = path
    state = Guarded(try Self.read(path).index)
    files = StoreFiles(path)
  }

  init(_ path: String, _ index: StoreIndex) {
    self.path = path
    state = Guarded(index)
    files = StoreFiles(path)
  }

  static func indexPath(_ path: String) -> String { "\(path)/store.json" }

  /// Reads the index anew: what other processes have added since.
  public func refresh() throws(DiffError) {
    let index = try Self.read(path).index
    state.withLock { $0 = index }
  }

  static func read(_ path: String) throws(DiffError) -> (index: StoreIndex, bytes: [UInt8]) {
    let file = indexPath(path)
    guard File.exists(file) else {
      throw DiffError(
        .notFound, "is no store: there is no \(OutputFile.split(file).name) in it", path: path)
    }
    let bytes = try File.contents(of: file, limit: StoreIndex.sizeLimit)
    do { return (try StoreIndex(parsing: bytes), bytes) } catch { throw error.at(path: file) }
  }

  /// The version of a name.
  public func version(_ name: String) throws(DiffError) -> StoreVersion {
    let index = index
    do { return index.versions[try index.number(of: name)] } catch { throw error.at(path: path) }
  }

  /// Changes the index under the store's lock: what `body` makes of it takes its place in one step.
  /// Files that it refers to must be there, and durable.
  ///
  /// - Throws: `locked` if another process is changing the store; what `body` throws, and then the
  ///   index stays.
  func edit<Result>(
    _ body: (inout StoreIndex) throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    let lock = try Self.lock(path)
    let (before, bytes) = try Self.read(path)
    var index = before
    let result = try body(&index)
    guard index != before else { return result }
    index.generation = before.generation + 1
    // Where a file system has no locks, the one that comes later finds out here.
    guard try File.contents(of: Self.indexPath(path), limit: StoreIndex.sizeLimit) == bytes else {
      throw DiffError(
        .changed, "was changed by another process meanwhile; try again", path: path)
    }
    try Self.write(index, path, overwriting: true)
    withExtendedLifetime(lock) {}
    let written = index
    state.withLock { $0 = written }
    return result
  }

  static func lock(_ path: String) throws(DiffError) -> File {
    let name = "\(path)/lock"
    if !File.exists(name) { _ = try? File(creating: name) }
    let file = try File(name, writable: true)
    do throws(DiffError) { try file.lock(.exclusive) } catch {
      guard error.code == .locked else { throw error }
      throw DiffError(
        .locked, "is being changed by another process; try again when that is done", path: path)
    }
    return file
  }

  static func write(
    _ index: StoreIndex, _ path: String, overwriting: Bool
  ) throws(DiffError) {
    let bytes = Array(index.text.utf8)
    guard UInt64(bytes.count) <= StoreIndex.sizeLimit else {
      throw DiffError(
        .limit, "has so many versions that its index would be larger than is read; remove some",
        path: path)
    }
    let output = try OutputFile(indexPath(path), overwriting: overwriting)
    try output.file.write(bytes.span, at: 0)
    try output.commit()
  }
}
