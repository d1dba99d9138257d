import SystemSupport
import TensorCore

/// The index of a store as it was at one moment.
struct IndexState {
  let index: StoreIndex
  let bytes: [UInt8]
  /// A tag that distinguishes this state from others; nil for a store in a folder.
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
  /// The path of the index.
  var indexPath: String { "\(path)/store.json" }

  /// Reads the present index.
  ///
  /// - Parameter known: a state that need not be parsed again.
  /// - Throws: `notFound` if there is none.
  func readIndex(
    besides known: (index: StoreIndex, tag: String?)? = nil
  ) throws(DiffError) -> IndexState {
    guard let origin else {
      guard File.exists(indexPath) else {
        throw DiffError(.notFound, "is not a store: it has no store.json", path: path)
      }
      let bytes = try File.contents(of: indexPath, limit: StoreIndex.sizeLimit)
      return try IndexState(parsing: bytes, tag: nil, path: indexPath)
    }
    guard let (bytes, tag) = try origin.index(limit: StoreIndex.sizeLimit) else {
      throw DiffError(.notFound, "is not a store: it has no store.json", path: origin.name)
    }
    if let known, known.tag == tag, !tag.isEmpty {
      return IndexState(index: known.index, bytes: bytes, tag: tag)
    }
    return try IndexState(parsing: bytes, tag: tag, path: "\(origin.name)/store.json")
  }

  /// Replaces the index that was read, or writes the first one.
  ///
  /// - Throws: `changed` if another process has written an index meanwhile; that one is kept.
  func write(_ index: StoreIndex, replacing before: IndexState?) throws(DiffError) {
    let bytes = Array(index.text.utf8)
    guard UInt64(bytes.count) <= StoreIndex.sizeLimit else {
      throw DiffError(
        .limit, "has so many versions that its index would exceed the size limit; remove some",
        path: name)
    }
    if let origin {
      guard try !origin.replaceIndex(bytes, ifStill: before?.tag) else { return }
      // A response that was lost looks like the write of another process.
      guard try origin.index(limit: StoreIndex.sizeLimit)?.bytes != bytes else { return }
      throw changed
    }
    if let before {
      // On a file system without locks, the second of two writers is detected here.
      let now = try File.contents(of: indexPath, limit: StoreIndex.sizeLimit)
      guard now == before.bytes else { throw changed }
    }
    try OutputFile.write(bytes, to: indexPath, overwriting: before != nil)
  }

  private var changed: DiffError {
    DiffError(.changed, "was changed by another process meanwhile; try again", path: name)
  }

  /// Locks the folder against other writers, as long as the returned file is open.
  ///
  /// - Throws: `locked`.
  func lock() throws(DiffError) -> File {
    let lock = "\(path)/lock"
    if !File.exists(lock) { _ = try? File(creating: lock) }
    let file = try File(lock, writable: true)
    do throws(DiffError) { try file.lock(.exclusive) } catch {
      guard error.code == .locked else { throw error }
      throw DiffError(
        .locked, "is being changed by another process; try again when it has finished", path: name)
    }
    return file
  }

  /// Uploads to the origin the files that one index refers to and another does not. Does nothing
  /// for a store in a folder.
  func publish(_ index: StoreIndex, besides before: StoreIndex?) throws(DiffError) {
    guard let origin else { return }
    let known = Set(before.map { listing($0).map(\.path) } ?? [])
    for (path, file) in listing(index) where !known.contains(path) {
      let name = relative(path)
      guard try !origin.put(File(path), as: name), let file else { continue }
      // It is of a failed attempt, or of another writer of the same file.
      let found = try OutputFile(path, overwriting: true)
      do throws(DiffError) {
        try origin.fetch(name, limit: file.size, into: found.file)
        try Self.compare(found.file, file)
      } catch {
        guard [.checksum, .limit].contains(error.code) else { throw error }
        throw DiffError(
          .exists,
          "exists and is another file of the same name; remove it if nothing uses it",
          path: "\(origin.name)/\(name)")
      }
    }
  }

  /// Returns all files that an index refers to, with nil for a table, which verifies itself.
  private func listing(_ index: StoreIndex) -> [(path: String, file: StoreFile?)] {
    var list: [(path: String, file: StoreFile?)] = modelFiles(index).map { ($0.path, $0.file) }
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
