import DiffTraining
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// The results of Hugging Face's tokenizers for many texts; see `wordpiece_oracle.py`.
struct Oracle {
  let json: JSONValue

  init(_ name: String) throws {
    json = try JSONValue(parsing: File.contents(of: Resource.path(name)))
  }

  /// Returns the array of strings at a path of names.
  func hashes(_ names: String...) -> [String] {
    names.reduce(json) { $0[$1] ?? .null }.elements?.compactMap(\.text) ?? []
  }

  /// One text for each scalar.
  static let scalarTexts = (0..<UInt32(0x11_0000)).compactMap(Unicode.Scalar.init).map {
    "a\($0)B"
  }

  /// Returns all texts of a task's file.
  static func taskTexts(_ path: String) throws -> [String] {
    let content = String(decoding: try File.contents(of: path), as: UTF8.self)
    return content.unicodeScalars.split(separator: "\n").flatMap {
      $0.split(separator: "\t", omittingEmptySubsequences: false).dropLast().map(String.init)
    }
  }

  /// Returns XXH3-64 over the tokens of groups of texts, as the scripts compute it.
  static func hashes(
    _ tokenizer: some Tokenizer, _ texts: [String], block: Int, sources: Bool = true
  ) -> [String] {
    stride(from: 0, to: texts.count, by: block).map { start in
      var data: [UInt8] = []
      for text in texts[start..<min(start + block, texts.count)] {
        let pieces = tokenizer.pieces(of: text)
        data += Int32(pieces.ids.count).bytes
        for (id, source) in zip(pieces.ids, pieces.sources) {
          data += id.bytes
          if sources {
            data += Int32(source.lowerBound).bytes + Int32(source.upperBound).bytes
          }
        }
      }
      return String("\(Fingerprint(high: 0, low: XXH3.hash64(data.span)))".suffix(16))
    }
  }
}

extension Int32 {
  fileprivate var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) } }
}

extension JSONValue {
  /// The numbers of an array.
  var integers: [Int32] { (elements ?? []).compactMap { $0.double.map(Int32.init) } }
}

/// The files of this module's tests.
enum Resource {
  static func path(_ name: String) -> String {
    Repository.path + "/Tests/DiffTrainingTests/Resources/" + name
  }
}
