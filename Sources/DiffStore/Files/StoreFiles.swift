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
/// may be written; a file that is another one since is compared again.
final class StoreFiles: Sendable {
  private let path: String
  private let known: Guarded<Known>

  private struct Known {
    /// The hash and the stamp of each file that was compared, by its path in the store.
    var files: [String: String]?
    var isNew = false
  }

  init(_ path: String) {
    self.path = path
    known = Guarded(Known())
  }

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

  /// Compares files with their hashes, those of which it is not known yet.
  ///
  /// - Throws: `checksum` for one that is another, `not-found`, `io`.
  func verify(_ files: [(path: String, file: StoreFile)], again: Bool = false) throws(DiffError) {
    let known = readNotes()
    let stamps = files.map { FileStamp($0.path) }
    let rest = files.indices.filter { number in
      again || known[files[number].path] != Self.note(files[number].file, stamps[number])
    }
    guard !rest.isEmpty else { return }
    try parallelFor(rest.count) { index throws(DiffError) in
      let (path, file) = files[rest[index]]
      try Self.compare(path, file)
    }
    self.known.withLock { known in
      for number in rest where FileStamp(files[number].path) == stamps[number] {
        known.files?[files[number].path] = Self.note(files[number].file, stamps[number])
        known.isNew = true
      }
    }
  }

  /// Forgets what is known: the files may be others.
  func forget() { known.withLock { $0 = Known() } }

  private static func note(_ file: StoreFile, _ stamp: FileStamp?) -> String? {
    stamp.map { "\(file.sha256) \($0.text)" }
  }

  private static func compare(_ path: String, _ file: StoreFile) throws(DiffError) {
    let found = try File(path)
    guard try found.size == file.size else {
      throw DiffError(
        .checksum, "has \(try found.size) bytes, not the \(file.size) that the index says",
        path: path)
    }
    guard try SHA256.of(found) == file.sha256 else {
      throw DiffError(.checksum, "is not the file that the index describes (SHA-256)", path: path)
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
    guard let output = try? OutputFile(notes, overwriting: true) else { return }
    try? output.file.write(Array(text.utf8).span, at: 0)
    try? output.commit()
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
