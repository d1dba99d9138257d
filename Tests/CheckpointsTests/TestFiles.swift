import Foundation
import Testing

/// The paths of test data.
enum TestFiles {
  static let repository = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The folder of real checkpoints, which is not part of the repository.
  static let shared = repository.deletingLastPathComponent().appending(path: "shared/data")

  static var haveShared: Bool { FileManager.default.fileExists(atPath: shared.path) }

  static let resources = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Resources")

  static let base = resources.appending(path: "base.h5").path
  static let chunks = resources.appending(path: "chunks.h5").path

  /// The path of a file of the oracle.
  static func path(_ name: String) -> String {
    name.hasPrefix("Resources/")
      ? resources.appending(path: String(name.dropFirst("Resources/".count))).path
      : shared.appending(path: name).path
  }

  /// Runs `body` with a folder that is removed afterwards.
  static func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
  }
}

/// The results of h5py for the files, written by `oracle.py`.
enum Oracle {
  struct Tensor: Decodable {
    var aliases: [String]
    var type: String
    var shape: [UInt64]
    /// Nil if the library lacks a filter.
    var hash: String?
  }

  static let files: [String: [String: Tensor]] = {
    do {
      let data = try Data(contentsOf: TestFiles.resources.appending(path: "oracle.json"))
      return try JSONDecoder().decode([String: [String: Tensor]].self, from: data)
    } catch {
      Issue.record(error)
      return [:]
    }
  }()

  /// The files in a folder, sorted.
  static func names(in folder: String) -> [String] {
    TestFiles.haveShared || folder == "Resources"
      ? files.keys.filter { $0.hasPrefix(folder + "/") }.sorted() : []
  }
}
