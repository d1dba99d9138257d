import DiffFormat
import DiffOperations
import Kernels
import SystemSupport
import TensorCore

/// A diff on its way into a store: hashed while it is written, and named when its identity is known.
final class LinkSink: ByteSink {
  private let output: OutputFile
  private let store: StoreFiles
  private var hash = SHA256()
  private var size: UInt64 = 0

  /// Begins a file in the folder of links.
  init(_ folder: String, _ store: StoreFiles) throws(DiffError) {
    output = try OutputFile(OutputFile.hiddenName("\(folder)/links/new"), overwriting: false)
    self.store = store
  }

  func write(_ bytes: Span<UInt8>) throws(DiffError) {
    try output.file.write(bytes, at: size)
    hash.update(bytes)
    size += UInt64(bytes.count)
  }

  /// The diff as it has been written.
  func reader() throws(DiffError) -> DiffReader { try DiffReader(output.file) }

  /// Makes the file durable under the name of its identity. One of that name that is the same stays.
  ///
  /// - Returns: the link, and whether the file is new.
  func commit(_ reader: DiffReader) throws(DiffError) -> (link: StoreLink, isNew: Bool) {
    var link = StoreLink(reader, size: size, sha256: hash.digest)
    let path = store.path(of: link)
    if File.exists(path) {
      guard try !store.isWhole(path, link.file) else { return (link, false) }
      // Left behind half written, or of another encoding: it is not what the index may refer to.
      throw DiffError(
        .exists, "is there and is another diff of the same identity; remove it if nothing uses it",
        path: path)
    }
    link.file.name = OutputFile.split(path).name
    output.appear(as: link.file.name)
    try output.commit()
    return (link, true)
  }
}

extension StoreLink {
  fileprivate init(_ reader: DiffReader, size: UInt64, sha256: String) {
    identity = reader.identity
    file = StoreFile(name: "\(reader.identity).diff", size: size, sha256: sha256)
    kind = reader.allSatisfy(\.operation.isReversible) ? .exact : .additive
    changes = reader.lazy.map(\.count).clampedSum
    elements = 0
  }
}

extension LinkSink {
  /// Writes a diff as it is.
  func copy(_ diff: DiffReader) throws(DiffError) {
    var offset: UInt64 = 0
    while offset < diff.size {
      var piece = [UInt8](repeating: 0, count: Int(min(1 << 20, diff.size - offset)))
      var span = piece.mutableSpan
      try diff.source.read(at: offset, into: &span)
      try write(piece.span)
      offset += UInt64(piece.count)
    }
  }
}
