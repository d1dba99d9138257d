import DiffStore
import Platform
import RemoteFiles
import SystemSupport
import TensorCore

/// A store on an HTTP server or in an S3 bucket. Only this file depends on both stores and servers.
final class RemoteStore: StoreOrigin {
  private let folder: RemoteFolder
  /// The index as last received, which servers with entity tags do not send again.
  private let known = Guarded<RemoteFolder.Contents?>(nil)
  /// True if the server was found to respect the conditions of writes.
  private let isProbed = Guarded(false)

  init(_ address: RemoteAddress, _ options: RemoteOptions) {
    folder = RemoteFolder(address, options)
  }

  var name: String { folder.name }

  private static let indexName = "store.json"

  func index(limit: UInt64) throws(DiffError) -> (bytes: [UInt8], tag: String)? {
    try known.withLock { known throws(DiffError) in
      known = try folder.contents(of: Self.indexName, limit: Int(limit), besides: known)
      return known.map { ($0.bytes, $0.tag ?? "") }
    }
  }

  func fetch(_ name: String, limit: UInt64, into file: File) throws(DiffError) {
    try folder.fetch(name, limit: limit, into: file)
  }

  func put(_ file: File, as name: String) throws(DiffError) -> Bool {
    try probe()
    return try folder.write(file, as: name)
  }

  func replaceIndex(_ bytes: [UInt8], ifStill tag: String?) throws(DiffError) -> Bool {
    try probe()
    let condition = tag.map { RemoteFolder.Condition.unchanged($0) } ?? .absent
    guard let tag = try folder.write(bytes, as: Self.indexName, if: condition) else { return false }
    known.withLock { $0 = RemoteFolder.Contents(bytes: bytes, tag: tag) }
    return true
  }

  private func probe() throws(DiffError) {
    try isProbed.withLock { isProbed throws(DiffError) in
      guard !isProbed else { return }
      try folder.requireConditions()
      isProbed = true
    }
  }
}

/// A folder that exists while a command runs.
final class TemporaryFolder {
  let path: String

  init() throws(DiffError) {
    let environment = ProgramFiles.environmentVariable("TMPDIR") ?? ""
    let parent =
      !environment.isEmpty ? environment : Folder.exists("/var/tmp") ? "/var/tmp" : "/tmp"
    var template = Array("\(parent)/diffkit-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw .system("cannot create a folder in", parent)
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    Interruption.add(temporary: path)
  }

  deinit {
    Folder.remove(path)
    Interruption.remove(temporary: path)
  }
}

/// A store that a command names: a folder or an address.
enum StoreTarget {
  case folder(String)
  /// An address, with a folder for the files that are needed: below `--cache`, or a temporary one.
  case address(RemoteStore, kept: String, temporary: TemporaryFolder?)

  init(_ argument: String, _ network: NetworkOptions) throws(DiffError) {
    guard let address = RemoteAddress(argument) else {
      self = .folder(argument)
      return
    }
    let origin = RemoteStore(address, network.remote)
    if let cache = network.cache {
      try Folder.create(cache)
      let kept = "\(cache)/\(address.cacheName)"
      self = .address(origin, kept: kept, temporary: nil)
    } else {
      let temporary = try TemporaryFolder()
      self = .address(origin, kept: temporary.path, temporary: temporary)
    }
  }

  /// Calls `body` with the store.
  func with<Result>(_ body: (Store) throws -> Result) throws -> Result {
    switch self {
    case .folder(let path): try body(Store(path))
    case .address(let origin, let kept, let temporary):
      try withExtendedLifetime(temporary) { try body(Store(origin, keptIn: kept)) }
    }
  }
}
