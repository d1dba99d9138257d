import DiffStore
import SystemSupport
import TensorCore
import TestSupport

/// A store elsewhere that is another folder, which may be made to lie.
final class FolderOrigin: StoreOrigin {
  let folder: String
  /// What comes in place of a file.
  let lies = Guarded<[String: [UInt8]]>([:])
  /// The names of files that were brought.
  let fetched = Guarded<[String]>([])
  /// Called before an index is replaced, once.
  let interference = Guarded<(@Sendable () throws -> Void)?>(nil)

  init(_ folder: String) { self.folder = folder }

  var name: String { "elsewhere" }

  func index(limit: UInt64) throws(DiffError) -> (bytes: [UInt8], tag: String)? {
    guard File.exists("\(folder)/store.json") else { return nil }
    let bytes = try File.contents(of: "\(folder)/store.json", limit: limit)
    return (bytes, Self.tag(bytes))
  }

  private static func tag(_ bytes: [UInt8]) -> String {
    Fingerprint.of(.u8, Shape(vector: UInt64(bytes.count)), bytes.span).description
  }

  func fetch(_ name: String, limit: UInt64, into file: File) throws(DiffError) {
    fetched.withLock { $0.append(name) }
    if let lie = lies.withLock({ $0[name] }) { return try file.write(lie.span, at: 0) }
    let source = try File("\(folder)/\(name)")
    guard try source.size <= limit else { throw DiffError(.limit, "is too large") }
    try source.copy(0..<source.size, to: file)
  }

  func put(_ file: File, as name: String) throws(DiffError) -> Bool {
    let path = "\(folder)/\(name)"
    for above in [folder, OutputFile.split(path).folder] { try Folder.create(above) }
    guard !File.exists(path) else { return false }
    let output = try OutputFile(path, overwriting: false)
    try file.copy(0..<file.size, to: output.file)
    try output.commit()
    return true
  }

  func replaceIndex(_ bytes: [UInt8], ifStill tag: String?) throws(DiffError) -> Bool {
    let other = interference.withLock { interference in
      defer { interference = nil }
      return interference
    }
    _ = try? other?()
    guard try index(limit: .max)?.tag == tag else { return false }
    let output = try OutputFile("\(folder)/store.json", overwriting: true)
    try output.file.write(bytes.span, at: 0)
    try output.commit()
    return true
  }
}
