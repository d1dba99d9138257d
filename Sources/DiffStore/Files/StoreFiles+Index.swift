import SystemSupport
import TensorCore

/// The index of a store as it was at one moment.
struct IndexState {
  let index: StoreIndex
  let bytes: [UInt8]
  /// What tells this state from others where the store is elsewhere.
  let tag: String?

  init(index: StoreIndex, bytes: [UInt8], tag: String?) {
    self.index = index
    self.bytes = bytes
    self.tag = tag
  }

  init(parsing bytes: [UInt8], tag: String?, path: String) throws(DiffError) {
    do { index = try StoreIndex(parsing: bytes) } catch { throw error.at(path: path) }
    self.bytes = bytes
    self.tag = tag
  }
}

extension StoreFiles {
  /// Where the index is kept.
  var indexPath: String { "\(path)/store.json" }

  /// Reads the index as it is now.
  ///
  /// - Parameter known: a state that need not be parsed again.
  /// - Throws: `not-found` if there is none.
  func readIndex(
    besides known: (index: StoreIndex, tag: String?)? = nil
  ) throws(DiffError) -> IndexState {
    guard let origin else {
      guard File.exists(indexPath) else {
        throw DiffError(.notFound, "is no store: there is no store.json in it", path: path)
      }
      let bytes = try File.contents(of: indexPath, limit: StoreIndex.sizeLimit)
      return try IndexState(parsing: bytes, tag: nil, path: indexPath)
    }
    guard let (bytes, tag) = try origin.index(limit: StoreIndex.sizeLimit) else {
      throw DiffError(.notFound, "is no store: there is no store.json below it", path: origin.name)
    }
    if let known, known.tag == tag, !tag.isEmpty {
      return IndexState(index: known.index, bytes: bytes, tag: tag)
    }
    return try IndexState(parsing: bytes, tag: tag, path: "\(origin.name)/store.json")
  }

  /// Puts an index in the place of the one that was read, or where there was none.
  ///
  /// - Throws: `changed` if another process was faster, and then the index is its.
  func write(_ index: StoreIndex, replacing before: IndexState?) throws(DiffError) {
    let bytes = Array(index.text.utf8)
    guard UInt64(bytes.count) <= StoreIndex.sizeLimit else {
      throw DiffError(
        .limit, "has so many versions that its index would be larger than is read; remove some",
        path: name)
    }
    if let origin {
      guard try !origin.replaceIndex(bytes, ifStill: before?.tag) else { return }
      // An answer that was lost on the way looks like the write of another.
      guard try origin.index(limit: StoreIndex.sizeLimit)?.bytes != bytes else { return }
      throw changed
    }
    if let before {
      // Where a file system has no locks, the one that comes later finds out here.
      let now = try File.contents(of: indexPath, limit: StoreIndex.sizeLimit)
      guard now == before.bytes else { throw changed }
    }
    try OutputFile.write(bytes, to: indexPath, overwriting: before != nil)
  }

  private var changed: DiffError {
    DiffError(.changed, "was changed by another process meanwhile; try again", path: name)
  }

  /// Locks the folder against other writers, for as long as the file is open.
  ///
  /// - Throws: `locked`.
  func lock() throws(DiffError) -> File {
    let lock = "\(path)/lock"
    if !File.exists(lock) { _ = try? File(creating: lock) }
    let file = try File(lock, writable: true)
    do throws(DiffError) { try file.lock(.exclusive) } catch {
      guard error.code == .locked else { throw error }
      throw DiffError(
        .locked, "is being changed by another process; try again when that is done", path: name)
    }
    return file
  }

  /// Takes to the origin what one index refers to and another does not; nothing where the store is a
  /// folder.
  func publish(_ index: StoreIndex, besides before: StoreIndex?) throws(DiffError) {
    guard let origin else { return }
    let known = Set(before.map { listing($0).map(\.path) } ?? [])
    for (path, file) in listing(index) where !known.contains(path) {
      let name = relative(path)
      guard try !origin.put(File(path), as: name), let file else { continue }
      // Left behind by an attempt that failed, or by another writer of the same link.
      let found = try OutputFile(path, overwriting: true)
      do throws(DiffError) {
        try origin.fetch(name, limit: file.size, into: found.file)
        try Self.compare(found.file, file)
      } catch {
        guard [.checksum, .limit].contains(error.code) else { throw error }
        throw DiffError(
          .exists,
          "is there and is another diff of the same identity; remove it if nothing uses it",
          path: "\(origin.name)/\(name)")
      }
    }
  }

  /// All files that an index refers to; of a table, which proves itself, nothing is known.
  private func listing(_ index: StoreIndex) -> [(path: String, file: StoreFile?)] {
    var list: [(path: String, file: StoreFile?)] = []
    for version in index.versions {
      if let link = version.link { list.append((path(of: link), link.file)) }
      if let anchor = version.anchor {
        list += files(of: anchor).map { ($0.path, $0.file) }
        list.append((tablePath(of: anchor), nil))
      }
    }
    return list
  }
}
