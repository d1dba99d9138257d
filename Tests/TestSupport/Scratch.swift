#if canImport(FoundationEssentials)
import SystemSupport
import FoundationEssentials
#else
import Foundation
#endif

/// A folder for the files of a test.
package struct Scratch {
  package let path: String

  /// Creates a value for an existing folder.
  package init(path: String) { self.path = path }

  /// Runs `body` with a new folder that is removed afterwards.
  package static func with<Result>(_ body: (Scratch) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.path + "/diffkit-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(Scratch(path: folder))
  }

  /// Returns the path of a file in the folder.
  package func callAsFunction(_ name: String) -> String { path + "/" + name }

  /// The names of the files in the folder, sorted.
  package var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
  }

  package func exists(_ name: String) -> Bool {
    FileManager.default.fileExists(atPath: self(name))
  }
}

/// Returns all bytes of a file.
package func contents(ofFile path: String) throws -> [UInt8] {
  let file = try File(path)
  var bytes = [UInt8](repeating: 0, count: Int(try file.size))
  var span = bytes.mutableSpan
  try file.read(at: 0, into: &span)
  return bytes
}

/// Writes a new file.
package func write(_ bytes: [UInt8], toFile path: String) throws {
  try File(creating: path).write(bytes.span, at: 0)
}

/// Removes a file.
package func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: path) }

/// Makes a new folder.
package func makeFolder(_ path: String) throws {
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
}
