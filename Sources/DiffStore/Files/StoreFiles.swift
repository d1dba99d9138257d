import Checkpoints
import DiffFormat
import Kernels
import Platform
import StrictJSON
import SystemSupport
import TensorCore

/// The files of a store, each of which is compared with its hash when it is first read.
///
/// Which ones were found whole is noted, with their stamps, in `verified.json` in the store, where that
/// may be written; a file that is another one since is compared again. Of a store that is elsewhere the
/// folder holds what has been needed so far.
final class StoreFiles: Sendable {
  /// The folder.
  let path: String
  /// Where the files come from that are not in the folder; nil if it is the store.
  let origin: (any StoreOrigin)?
  private let known: Guarded<Known>

  private struct Known {
    /// The hash and the stamp of each file that was compared, by its path in the store.
    var files: [String: String]?
    var isNew = false
  }

  init(_ path: String, _ origin: (any StoreOrigin)? = nil) {
    self.path = path
    self.origin = origin
    known = Guarded(Known())
  }

  /// What messages call the store.
  var name: String { origin?.name ?? path }

  private var notes: String { "\(path)/verified.json" }

  // MARK: Places

  func path(of link: StoreLink) -> String { "\(path)/links/\(link.file.name)" }

  func path(of anchor: StoreAnchor) -> String { "\(path)/anchors/\(anchor.name)" }

  /// All files of an anchor with their paths.
  func files(of anchor: StoreAnchor) -> [(path: String, file: StoreFile)] {
    let place = path(of: anchor)
    return anchor.files.map { (anchor.isFolder ? "\(place)/\($0.name)" : place, $0) }
  }

  /// Where the fingerprints of an anchor's tensors are kept.
  func tablePath(of anchor: StoreAnchor) -> String { "\(path(of: anchor)).tensors.json" }

  /// A path from the store's folder on.
  func relative(_ path: String) -> String { String(path.dropFirst(self.path.count + 1)) }

  // MARK: Reading

  /// Opens the diffs of links, whose files have been compared with their hashes.
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

  /// Opens an anchor, whose files have been compared with their hashes.
  func open(_ anchor: StoreAnchor) throws(DiffError) -> any Checkpoint {
    try verify(files(of: anchor))
    return try CheckpointFile.open(path(of: anchor))
  }

  /// The fingerprints of an anchor's tensors as they are kept beside it; nil if they are not.
  func table(of anchor: StoreAnchor) throws(DiffError) -> TensorTable? {
    let path = tablePath(of: anchor)
    if origin != nil && !File.exists(path) {
      do throws(DiffError) {
        try bring(path, limit: TensorTable.sizeLimit) { (_) throws(DiffError) in }
      } catch {
        guard [.notFound, .limit].contains(error.code) else { throw error }
        return nil
      }
    }
    return TensorTable(contentsOf: path)
  }

  /// Compares files with their hashes, those of which it is not known yet, after bringing those that
  /// are elsewhere.
  ///
  /// - Parameter again: whether what is known does not count: files from elsewhere are brought anew.
  /// - Throws: `checksum` for one that is another, `not-found`, `io`.
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
        try bring(path, limit: file.size) { (found) throws(DiffError) in
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

  /// Whether a file is there and is the one of the index.
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

  /// Brings a file from the origin. It has its name when it is complete and `check` has no objection.
  private func bring(
    _ path: String, limit: UInt64, check: (File) throws(DiffError) -> Void
  ) throws(DiffError) {
    try makeFolders(to: path)
    let output = try OutputFile(path, overwriting: true)
    try receive(path, limit: limit, into: output.file, check: check)
    try output.commit()
  }

  /// Makes the folders between this one and a file below it.
  func makeFolders(to path: String) throws(DiffError) {
    let below = relative(path)
    for (place, character) in zip(below.indices, below) where character == "/" {
      try Folder.create("\(self.path)/\(below[..<place])")
    }
  }

  /// Fills an empty file with one of the origin's.
  private func receive(
    _ path: String, limit: UInt64, into file: File, check: (File) throws(DiffError) -> Void
  ) throws(DiffError) {
    guard let origin else { return }
    do throws(DiffError) {
      try origin.fetch(relative(path), limit: limit, into: file)
      try check(file)
    } catch {
      // What is wrong with it is wrong where it comes from.
      var error = error
      if error.path == file.path { error.path = nil }
      throw error.at(path: "\(origin.name)/\(relative(path))")
    }
  }

  /// Copies a file of this store to another place, where it appears when it is complete and the one of
  /// the index; one that is there and whole stays. What comes from elsewhere is not kept here, too.
  ///
  /// - Throws: `exists` if another file is there.
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

  /// Forgets what is known: the files may be others.
  func forget() { known.withLock { $0 = Known() } }

  private static func note(_ file: StoreFile, _ stamp: FileStamp?) -> String? {
    stamp.map { "\(file.sha256) \($0.text)" }
  }

  /// Compares a file with what the index says of it.
  static func compare(_ found: File, _ file: StoreFile) throws(DiffError) {
    let size = try found.size
    guard size == file.size else {
      throw DiffError(
        .checksum, "has \(size) bytes, not the \(file.size) that the index says", path: found.path)
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

  /// Writes down what was found, as far as that can be done.
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
  /// The hash of a file.
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
