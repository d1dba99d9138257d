import DiffFormat
import TensorCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The contents of a valid vector: the JSON file beside it, described in `samples/VECTORS.md`.
package struct ValidDescription: Codable {
  struct Entry: Codable {
    var name, operation, type: String
    var shape: [UInt64]
    var newShape: [UInt64]?
    var valueType: String?
    var scale: Int?
    var base, result, old: String?
    var streams: [Stream]
  }

  struct Stream: Codable {
    var stream: String
    var count: Int
    var positions: [UInt64]?
    var values: String?
    var positionsHash, valuesHash: String
    var encodings: [String]
  }

  struct Checkpoints: Codable {
    var base, result: String
  }

  var metadata: [String: String]
  var identity: String
  var checkpoints: Checkpoints?
  var entries: [Entry]

  /// Creates the description of a diff by decoding all of it.
  package init(_ reader: DiffReader) throws(DiffError) {
    metadata = reader.metadata
    identity = reader.identity.description
    checkpoints = reader.checkpoints.map {
      Checkpoints(base: $0.base.description, result: $0.result.description)
    }
    entries = []
    for entry in reader { entries.append(try Entry(entry, reader)) }
  }
}

extension ValidDescription.Entry {
  fileprivate init(_ entry: DiffEntry, _ reader: DiffReader) throws(DiffError) {
    name = entry.name.description
    operation = entry.operation.name
    type = entry.type.name
    shape = entry.shape.extents
    switch entry.operation {
    case .add(let values, let scale): (valueType, self.scale) = (values.elementType.name, scale)
    case .reshape(let new): newShape = new.extents
    default: break
    }
    base = entry.base?.description
    result = entry.result?.description
    old = entry.old?.description
    streams = []
    let contents = try reader.contents(of: entry)
    for stream in entry.operation.streams {
      let encodings = try reader.encodings(of: entry, stream).sorted()
      streams.append(.init(stream, contents.streams[stream] ?? Changes(), encodings))
    }
  }
}

extension ValidDescription.Stream {
  fileprivate init(_ stream: DiffStream, _ changes: Changes, _ encodings: [String]) {
    self.stream = "\(stream)"
    self.encodings = encodings
    count = changes.positions.count
    if count <= 64 {
      positions = changes.positions
      values = hex(changes.values)
    }
    let bytes = changes.positions.flatMap(\.littleEndianBytes)
    positionsHash = XXH3.hash128(bytes.span).description
    valuesHash = XXH3.hash128(changes.values.span).description
  }
}

/// The error of an invalid vector: the JSON file beside it.
package struct InvalidDescription: Codable {
  package var code: String
  package var offset: UInt64
  package var when, note: String

  package init(code: String, offset: UInt64, when: String, note: String) {
    (self.code, self.offset, self.when, self.note) = (code, offset, when, note)
  }
}

/// The folder `samples` of the repository.
package enum VectorFolder {
  private static var samples: URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "samples")
  }

  /// True if the vectors are to be written, not read.
  package static var isRecording: Bool {
    ProcessInfo.processInfo.environment["DIFFKIT_RECORD"] == "1"
  }

  /// Returns the names of the vectors in `valid` or `invalid`, without suffix.
  package static func names(_ folder: String) -> [String] {
    let path = samples.appending(path: folder).path
    let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return files.filter { $0.hasSuffix(".diff") }.map { String($0.dropLast(5)) }.sorted()
  }

  package static func path(_ folder: String, _ file: String) -> String {
    samples.appending(path: folder).appending(path: file).path
  }

  package static func read(_ folder: String, _ file: String) throws -> [UInt8] {
    try [UInt8](Data(contentsOf: URL(filePath: path(folder, file))))
  }

  package static func description<Type: Decodable>(
    _ type: Type.Type, _ folder: String, _ name: String
  ) throws -> Type {
    try JSONDecoder().decode(type, from: Data(read(folder, name + ".json")))
  }

  package static func json(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try [UInt8](encoder.encode(value)) + [0x0A]
  }

  package static func write(
    _ bytes: [UInt8], _ description: some Encodable, _ folder: String, _ name: String
  ) throws {
    try FileManager.default.createDirectory(
      at: samples.appending(path: folder), withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(filePath: path(folder, name + ".diff")))
    try Data(json(description)).write(to: URL(filePath: path(folder, name + ".json")))
  }

  /// Removes all vectors of a folder, so that only those that are written again remain.
  package static func removeAll(_ folder: String) throws {
    for name in names(folder) {
      for suffix in [".diff", ".json"] {
        try? FileManager.default.removeItem(atPath: path(folder, name + suffix))
      }
    }
  }
}
