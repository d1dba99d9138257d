import DiffFormat
import DiffOperations
import Kernels
import SystemSupport
import TensorCore

/// A writer of a link: the diff is hashed while it is written, and named when its identity is
/// known.
final class LinkSink: ByteSink {
  private let output: OutputFile
  private let store: StoreFiles
  private var hash = SHA256()
  private var size: UInt64 = 0

  /// Creates a file in the folder of links.
  init(_ folder: String, _ store: StoreFiles) throws(DiffError) {
    output = try OutputFile(OutputFile.hiddenName("\(folder)/links/new"), overwriting: false)
    self.store = store
  }

  func write(_ bytes: Span<UInt8>) throws(DiffError) {
    try output.file.write(bytes, at: size)
    hash.update(bytes)
    size += UInt64(bytes.count)
  }

  /// Returns the diff that has been written.
  func reader() throws(DiffError) -> DiffReader { try DiffReader(output.file) }

  /// Makes the file durable under the name of its identity, unless the same file exists.
  ///
  /// - Returns: the link, and whether the file is new.
  func commit(_ reader: DiffReader) throws(DiffError) -> (link: StoreLink, isNew: Bool) {
    var link = StoreLink(reader, size: size, sha256: hash.digest)
    let path = store.path(of: link)
    if File.exists(path) {
      guard try !store.isWhole(path, link.file) else { return (link, false) }
      // Incomplete, or in another encoding: the index cannot refer to it.
      throw DiffError(
        .exists, "exists and is another diff of the same identity; remove it if nothing uses it",
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
  /// Writes a diff as it is, byte by byte.
  func copy(_ diff: DiffReader) throws(DiffError) {
    var offset: UInt64 = 0
    while offset < diff.size {
      var block = [UInt8](repeating: 0, count: Int(min(1 << 20, diff.size - offset)))
      var span = block.mutableSpan
      try diff.source.read(at: offset, into: &span)
      try write(block.span)
      offset += UInt64(block.count)
    }
  }
}
