import DiffCommands
import SystemSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A finished run of the table of methods.
struct RunRecord: Codable {
  var id, task, method: String
  var seed: UInt64
  /// The learning rate; the score on held-out training rows, and on dev rows.
  var rate, held, score: Double
  var scores: [String: Double]
  var seconds: Double
  var bytes, positions: Int
  var densityBefore: Double?
  /// The numbers of changed elements and of all elements, by part of the model.
  var parts: [String: [Int]]
}

/// An append-only file of finished runs, one line of JSON each.
struct ResultsFile {
  private let path: String
  private var records: [RunRecord] = []

  init(_ path: String) throws {
    self.path = path
    guard FileManager.default.fileExists(atPath: path) else { return }
    for line in try File.contents(of: path).split(separator: 0x0A) {
      records.append(try JSONDecoder().decode(RunRecord.self, from: Data(line)))
    }
  }

  /// The run with an id; nil if it is not finished.
  subscript(id: String) -> RunRecord? { records.first { $0.id == id } }

  mutating func append(_ record: RunRecord) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let line = try encoder.encode(record) + Data("\n".utf8)
    if !FileManager.default.fileExists(atPath: path) { _ = try File(creating: path) }
    let file = try File(path, writable: true)
    let bytes = Array(line)
    try file.write(bytes.span, at: file.size)
    try file.sync()
    records.append(record)
  }
}
