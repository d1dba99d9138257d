import StrictJSON
import SystemSupport
import TensorCore

/// The header of a safetensors file: the names, types, shapes and byte ranges of the tensors.
///
/// As documented by huggingface/safetensors, a file consists of eight bytes, the length N of a JSON
/// object; that object; and from byte 8 + N on, the tensors, contiguous, in any order.
struct SafeTensorsHeader: Sendable {
  /// A tensor of the file, of a supported type or not.
  struct Item: Sendable {
    var name: TensorName
    /// The type; nil if it is unsupported.
    var type: ElementType?
    /// The name of the type in the file.
    var dtype: String
    var extents: [UInt64]
    /// The byte range, relative to the end of the header.
    var range: Range<UInt64>
    /// Other members of the entry, which the format does not define.
    var others: [JSONValue.Member] = []
  }

  /// The members of `__metadata__`, in the order of the file; nil if it is absent.
  var metadata: [JSONValue.Member]?
  /// The tensors, in the order of their bytes.
  var items: [Item]

  /// The longest header that the reference implementation reads.
  static let maximumLength: UInt64 = 100_000_000

  /// Reads and checks the header of a file.
  ///
  /// - Returns: the header and the offset of the first tensor's bytes.
  /// - Throws: `malformed` for violations of the format: ranges that overlap or leave gaps, lengths
  ///   that do not fit the shapes, duplicate names or metadata keys.
  static func read(_ file: File) throws(DiffError) -> (header: SafeTensorsHeader, start: UInt64) {
    do throws(DiffError) {
      let (bytes, dataSize) = try text(of: file)
      return (try SafeTensorsHeader(parse(bytes), dataSize: dataSize), 8 + UInt64(bytes.count))
    } catch { throw error.at(path: file.path) }
  }

  /// Returns the JSON of a header and the number of bytes after it.
  private static func text(of file: File) throws(DiffError) -> (bytes: [UInt8], dataSize: UInt64) {
    let size = try file.size
    let start = try file.bytes(at: 0, count: Int(min(8, size)))
    if !start.dropFirst(5).elementsEqual([0, 0, 0]),
      let what = try ForeignFile.description(of: file)
    {
      throw DiffError(.notACheckpoint, what)
    }
    guard size >= 8 else { throw DiffError(.malformed, "too short for safetensors") }
    let length: UInt64 = try file.bytes(at: 0, count: 8).littleEndian(at: 0)
    guard length <= maximumLength else {
      throw DiffError(.limit, "a header of \(length) bytes; at most \(maximumLength) are read")
    }
    guard length <= size - 8 else {
      throw DiffError(.truncated, "the header of \(length) bytes is longer than the file")
    }
    return (try file.bytes(at: 8, count: Int(length)), size - 8 - length)
  }

  private static func parse(_ bytes: [UInt8]) throws(DiffError) -> JSONValue {
    guard bytes.first == UInt8(ascii: "{") else {
      throw DiffError(.malformed, "the header is not a JSON object", offset: 8)
    }
    do { return try JSONValue(parsing: bytes) } catch {
      throw DiffError(error.code, error.message, offset: 8 + (error.offset ?? 0))
    }
  }

  /// An empty header.
  init() { items = [] }

  /// Decodes a header, and checks that its tensors take exactly `dataSize` bytes.
  init(_ json: JSONValue, dataSize: UInt64) throws(DiffError) {
    guard let members = json.members else {
      throw DiffError(.malformed, "the header is not a JSON object")
    }
    items = []
    for member in members {
      if member.name == "__metadata__" {
        // The reference implementation treats null as absent.
        if member.value == .null { continue }
        guard let texts = member.value.members, texts.allSatisfy({ $0.value.text != nil }) else {
          throw DiffError(.malformed, "'__metadata__' is not an object of strings")
        }
        metadata = texts
      } else {
        do { items.append(try Item(member)) } catch {
          throw error.at(tensor: TensorName(member.name))
        }
      }
    }
    items.sort {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    var end: UInt64 = 0
    for item in items {
      guard item.range.lowerBound == end else {
        throw DiffError(
          .malformed,
          item.range.lowerBound < end
            ? "shares bytes with another tensor" : "has unused bytes before it",
          tensor: item.name)
      }
      end = item.range.upperBound
    }
    guard end == dataSize else {
      throw DiffError(
        .malformed, "the tensors take \(end) bytes, but \(dataSize) follow the header")
    }
  }

  /// The encoded header, starting with its length; padded so that the data begin at a multiple of
  /// eight.
  var bytes: [UInt8] { bytes(padding: 0) }

  /// Encodes the header, padded to at least `least` bytes.
  func bytes(padding least: Int) -> [UInt8] {
    var members: [JSONValue.Member] = []
    if let metadata { members.append(.init("__metadata__", .object(metadata))) }
    for item in items {
      func numbers(_ values: [UInt64]) -> JSONValue { .array(values.map { .number("\($0)") }) }
      members.append(
        .init(
          item.name.description,
          .object(
            [
              .init("dtype", .string(item.dtype)), .init("shape", numbers(item.extents)),
              .init("data_offsets", numbers([item.range.lowerBound, item.range.upperBound])),
            ] + item.others)))
    }
    var json = Array(JSONValue.object(members).compact.utf8)
    while json.count % 8 != 0 || json.count + 8 < least { json.append(UInt8(ascii: " ")) }
    return UInt64(json.count).littleEndianBytes + json
  }
}

extension SafeTensorsHeader {
  /// The metadata as a dictionary; of keys that are equal as strings, the last.
  var metadataTexts: [String: String] {
    var texts: [String: String] = [:]
    for member in metadata ?? [] { texts[member.name] = member.value.text }
    return texts
  }
}
