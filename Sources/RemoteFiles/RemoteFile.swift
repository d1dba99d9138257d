import DiffFormat
import Platform
import SystemSupport
import TensorCore

/// An object on a server, read by ranges like a file. Bytes that have arrived are kept in a local
/// file, not in memory. The contents are not checked: a diff has its own checksums.
///
///     let diff = try DiffReader(RemoteFile(address))
public final class RemoteFile: ByteSource {
  /// The address, without parts that may be secret.
  public let name: String?
  /// The size in bytes.
  public let size: UInt64
  private let local: File
  private let fetch: Guarded<Fetch>

  /// True if this build can connect to servers.
  public static var isIncluded: Bool { Connection.isIncluded }

  /// Requests the size and the first bytes of an object.
  ///
  /// - Throws: `notFound`, `denied` if the server reports that; `io` if it cannot be reached or
  ///   sends an invalid response; `unsupported` in a build without libcurl.
  public init(
    _ address: RemoteAddress, _ options: RemoteOptions = RemoteOptions()
  ) throws(DiffError) {
    let session = try RemoteSession(address, options)
    var cached: CachedObject?
    if let folder = options.cache { cached = try CachedObject(address, in: folder) }
    let file: File
    if let cached { file = cached.file } else { file = try Self.temporary(options) }
    let fetch = Fetch(session, cached, file)
    try fetch.open()
    name = "\(address)"
    size = fetch.size
    local = file
    self.fetch = Guarded(fetch)
  }

  /// Creates a file without a name, on a disk rather than in memory.
  private static func temporary(_ options: RemoteOptions) throws(DiffError) -> File {
    let usual = Folder.exists("/var/tmp") ? "/var/tmp" : "/tmp"
    let folder = options.environment["TMPDIR"] ?? usual
    let path = OutputFile.hiddenName("\(folder)/fetch")
    let file = try File(creating: path, mode: 0o600)
    unsafe unlink(path)
    return file
  }

  /// Fills `buffer` with the bytes from `offset` on, fetching those that have not arrived.
  public func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    guard offset <= size, UInt64(buffer.count) <= size - offset else {
      throw DiffError(.truncated, "the object ends too early", path: name, offset: size)
    }
    let range = offset..<offset + UInt64(buffer.count)
    try fetch.withLock { fetch throws(DiffError) in try fetch.require(range) }
    try local.read(at: offset, into: &buffer)
  }

  /// Fetches all bytes that have not arrived, in as few requests as the connection allows.
  ///
  /// - Throws: `noSpace` if the disk has too little free space, and the errors of `init`.
  public func fetchAll() throws(DiffError) {
    let range = 0..<size
    try FreeSpace.require(size, at: local.path)
    try fetch.withLock { fetch throws(DiffError) in
      try fetch.require(range)
      fetch.save()
    }
  }
}
