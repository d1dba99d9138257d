import Checkpoints
import DiffFormat
import Kernels
import Platform
import StrictJSON
import SystemSupport
import TensorCore

/// The files of a store, each of which is compared with its hash when it is first read.
///
/// Verified files are recorded, with their stamps, in `verified.json` in the store, if that can be
/// written; a file with another stamp is compared again. For a remote store, the folder holds the
/// files that have been needed so far.
final class StoreFiles: Sendable {
  /// The folder.
  let path: String
  /// The origin of files that are not in the folder; nil if the folder is the store.
  let origin: (any StoreOrigin)?
  private let known: Guarded<Known>

  private struct Known {
    /// The hash and the stamp of each verified file, by its path.
    var files: [String: String]?
    var isNew = false
  }

  init(_ path: String, _ origin: (any StoreOrigin)? = nil) {
    self.path = path
    self.origin = origin
    known = Guarded(Known())
  }

  /// The name of the store in messages.
  var name: String { origin?.name ?? path }

  private var notes: String { "\(path)/verified.json" }

  // MARK: Paths

  func path(of link: StoreLink) -> String { "\(path)/links/\(link.file.name)" }

  func path(of anchor: StoreAnchor) -> String { "\(path)/anchors/\(anchor.name)" }

  /// Returns all files of an anchor with their paths.
  func files(of anchor: StoreAnchor) -> [(path: String, file: StoreFile)] {
    let anchorPath = path(of: anchor)
    return anchor.files.map {
      (anchor.isFolder ? "\(anchorPath)/\($0.name)" : anchorPath, $0)
    }
  }

  /// The folder of the model's files.
  var modelPath: String { "\(path)/model" }

  /// Returns the files of the model with their paths.
  func modelFiles(_ index: StoreIndex) -> [(path: String, file: StoreFile)] {
    index.model.map { ("\(modelPath)/\($0.name)", $0) }
  }

  /// Returns the path of the fingerprints of an anchor's tensors.
  func tablePath(of anchor: StoreAnchor) -> String { "\(path(of: anchor)).tensors.json" }

  /// Returns a path relative to the store's folder.
  func relative(_ path: String) -> String { String(path.dropFirst(self.path.count + 1)) }

  // MARK: Reading

  /// Opens the diffs of links, after comparing their files with the hashes.
  func open(_ links: [StoreLink]) throws(DiffError) -> [DiffReader] {
    try verify(links.map { (path(of: $0), $0.file) })
    let opened = try DiffReader.open(links.map(path(of:)))
    for (link, reader) in zip(links, opened) {
      guard reader.identity == link.identity else {
        throw DiffError(
          .checksum, "has the identity \(reader.identity), not that of its name",
          path: reader.path)
      }
    }
    return opened
  }

  /// Opens an anchor, after comparing its files with the hashes.
  func open(_ anchor: StoreAnchor) throws(DiffError) -> any Checkpoint {
    try verify(files(of: anchor))
    return try CheckpointFile.open(path(of: anchor))
  }

  /// Returns the stored fingerprints of an anchor's tensors, or nil if there are none.
  func table(of anchor: StoreAnchor) throws(DiffError) -> TensorTable? {
    let path = tablePath(of: anchor)
    if origin != nil && !File.exists(path) {
      do throws(DiffError) {
        try fetch(path, limit: TensorTable.sizeLimit) { (_) throws(DiffError) in }
      } catch {
        guard [.notFound, .limit].contains(error.code) else { throw error }
        return nil
      }
    }
    return TensorTable(contentsOf: path)
  }

  /// Compares files that are not recorded as verified with their hashes, after fetching those that
  /// are missing from the origin.
  ///
  /// - Parameter again: whether all files are compared; those of an origin are fetched again.
  /// - Throws: `checksum` if a file is another one, `notFound`, `io`.
  func verify(_ files: [(path: String, file: StoreFile)], again: Bool = false) throws(DiffError) {
    let known = readNotes()
    let rest = files.indices.filter { number in
      let (path, file) = files[number]
      let stamp = FileStamp(path)
      return again || stamp == nil || known[path] != Self.note(file, stamp)
    }
    guard !rest.isEmpty else { return }
    try parallelFor(rest.count) { index throws(DiffError) in
      let (path, file) = files[rest[index]]
      var stamp = FileStamp(path)
      let isMissing = try origin == nil ? false : again ? true : !isWhole(path, file)
      if isMissing {
        try fetch(path, limit: file.size) { (found) throws(DiffError) in
          try Self.compare(found, file)
        }
        stamp = FileStamp(path)
      } else if origin == nil {
        try Self.compare(File(path), file)
      }
      if let stamp { note(path, file, at: stamp) }
    }
  }

  /// Notes that a file which had this stamp is the one of the index, if it has not changed since.
  func note(_ path: String, _ file: StoreFile, at stamp: FileStamp) {
    _ = readNotes()
    guard FileStamp(path) == stamp else { return }
    known.withLock { known in
      known.files?[path] = Self.note(file, stamp)
      known.isNew = true
    }
  }

  /// Returns whether a file exists and is the one of the index.
  func isWhole(_ path: String, _ file: StoreFile) throws(DiffError) -> Bool {
    guard File.exists(path) else { return false }
    do throws(DiffError) {
      try Self.compare(File(path), file)
      return true
    } catch {
      guard error.code == .checksum else { throw error }
      return false
    }
  }

  /// Fetches a file from the origin. It appears when it is complete and `check` does not throw.
  private func fetch(
    _ path: String, limit: UInt64, check: (File) throws(DiffError) -> Void
  ) throws(DiffError) {
    try makeFolders(to: path)
    let output = try OutputFile(path, overwriting: true)
    try receive(path, limit: limit, into: output.file, check: check)
    try output.commit()
  }

  /// Creates the folders between the store's folder and a file below it.
  func makeFolders(to path: String) throws(DiffError) {
    let below = relative(path)
    for (index, character) in zip(below.indices, below) where character == "/" {
      try Folder.create("\(self.path)/\(below[..<index])")
    }
  }

  /// Fetches a file of the origin into an empty file, and checks it.
  private func receive(
    _ path: String, limit: UInt64, into file: File, check: (File) throws(DiffError) -> Void
  ) throws(DiffError) {
    guard let origin else { return }
    do throws(DiffError) {
      try origin.fetch(relative(path), limit: limit, into: file)
      try check(file)
    } catch {
      // The error is one of the file in the origin.
      var error = error
      if error.path == file.path { error.path = nil }
      throw error.at(path: "\(origin.name)/\(relative(path))")
    }
  }

  /// Copies a file of this store to another path, where it appears when it is complete and
  /// verified; does nothing if the same file exists. A file fetched from the origin is not kept in
  /// this folder.
  ///
  /// - Throws: `exists` if another file exists at the path.
  func copy(_ path: String, _ file: StoreFile, to destination: String) throws(DiffError) {
    guard try !isWhole(destination, file) else { return }
    let output = try OutputFile(destination, overwriting: false)
    func check(_ found: File) throws(DiffError) { try Self.compare(found, file) }
    if origin != nil, !File.exists(path) {
      try receive(path, limit: file.size, into: output.file, check: check)
    } else {
      let source = try File(path)
      try Self.compare(source, file)
      try source.copy(0..<file.size, to: output.file)
    }
    try output.commit()
  }

  /// Forgets which files are verified.
  func forget() { known.withLock { $0 = Known() } }

  private static func note(_ file: StoreFile, _ stamp: FileStamp?) -> String? {
    stamp.map { "\(file.sha256) \($0.text)" }
  }

  /// Compares a file with its size and hash in the index.
  static func compare(_ found: File, _ file: StoreFile) throws(DiffError) {
    let size = try found.size
    guard size == file.size else {
      throw DiffError(
        .checksum, "has \(size) bytes, not the \(file.size) that the index states",
        path: found.path)
    }
    guard try SHA256.of(found) == file.sha256 else {
      throw DiffError(
        .checksum, "is not the file that the index describes (SHA-256)", path: found.path)
    }
  }

  // MARK: Notes

  private func readNotes() -> [String: String] {
    known.withLock { known in
      if let files = known.files { return files }
      var files: [String: String] = [:]
      let json = try? File.parse(notes, limit: StoreIndex.sizeLimit) { bytes throws(DiffError) in
        try JSONValue(parsing: bytes)
      }
      for member in json?["files"]?.members ?? [] {
        files["\(path)/\(member.name)"] = member.value.text
      }
      known.files = files
      return files
    }
  }

  /// Records the files that were verified. Errors are ignored.
  func writeNotes() {
    let files = known.withLock { known -> [String: String]? in
      defer { known.isNew = false }
      return known.isNew ? known.files : nil
    }
    guard let files else { return }
    let members = files.sorted { $0.key < $1.key }.map { file, note in
      JSONValue.Member(String(file.dropFirst(path.count + 1)), .string(note))
    }
    let text = JSONValue.object([.init("files", .object(members))]).compact + "\n"
    try? OutputFile.write(Array(text.utf8), to: notes, overwriting: true)
  }
}

extension SHA256 {
  /// Returns the hash of a file.
  static func of(_ file: File) throws(DiffError) -> String {
    var hash = SHA256()
    let size = try file.size
    var offset: UInt64 = 0
    var buffer = [UInt8](repeating: 0, count: Int(min(1 << 20, size)))
    while offset < size {
      let count = Int(min(UInt64(buffer.count), size - offset))
      if buffer.count > count { buffer.removeLast(buffer.count - count) }
      var span = buffer.mutableSpan
      try file.read(at: offset, into: &span)
      hash.update(buffer.span)
      offset += UInt64(count)
    }
    return hash.digest
  }
}
