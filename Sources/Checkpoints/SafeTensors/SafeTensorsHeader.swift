import StrictJSON
import SystemSupport
import TensorCore

/// The header of a safetensors file: what stands where behind it.
///
/// As huggingface/safetensors documents the format: eight bytes, the length N of a JSON object
/// that follows; from byte 8 + N on, the tensors, end to end, in some order.
struct SafeTensorsHeader: Sendable {
  /// A tensor, or something that diffkit does not take for one.
  struct Item: Sendable {
    var name: TensorName
    /// The type; nil for one that diffkit does not have, whose elements are left alone.
    var type: ElementType?
    /// How the type is written.
    var dtype: String
    var extents: [UInt64]
    /// Bytes, counted from the end of the header.
    var range: Range<UInt64>
  }

  /// Free-form facts, as they stand in the file.
  var metadata: [JSONValue.Member]?
  /// In the order of their bytes.
  var items: [Item]

  /// The longest header that the reference implementation reads.
  static let maximumLength: UInt64 = 100_000_000

  /// Reads and checks the header of a file.
  ///
  /// - Returns: the header and the offset of the first tensor's bytes.
  /// - Throws: `malformed` for whatever the format does not allow: ranges with holes between them
  ///   or that overlap, lengths that are not those of the shapes, names or facts twice.
  static func read(_ file: File) throws(DiffError) -> (header: SafeTensorsHeader, start: UInt64) {
    do throws(DiffError) {
      let (bytes, dataSize) = try text(of: file)
      return (try SafeTensorsHeader(parse(bytes), dataSize: dataSize), 8 + UInt64(bytes.count))
    } catch { throw error.at(path: file.path) }
  }

  /// The JSON of a header, and how many bytes follow it.
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
      throw DiffError(.malformed, "the header is no JSON object", offset: 8)
    }
    do { return try JSONValue(parsing: bytes) } catch {
      throw DiffError(error.code, error.message, offset: 8 + (error.offset ?? 0))
    }
  }

  /// An empty header.
  init() { items = [] }

  /// Takes what a header says, if it fits so many bytes of data.
  init(_ json: JSONValue, dataSize: UInt64) throws(DiffError) {
    guard let members = json.members else {
      throw DiffError(.malformed, "the header is no JSON object")
    }
    items = []
    for member in members {
      if member.name == "__metadata__" {
        // The reference implementation takes that for none.
        if member.value == .null { continue }
        guard let facts = member.value.members, facts.allSatisfy({ $0.value.text != nil }) else {
          throw DiffError(.malformed, "'__metadata__' is no object of strings")
        }
        metadata = facts
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

  /// The header as it stands in a file, its length first; padded so that data begin at a multiple
  /// of eight.
  var bytes: [UInt8] { bytes(padding: 0) }

  /// The same, padded to a length at least.
  func bytes(padding least: Int) -> [UInt8] {
    var members: [JSONValue.Member] = []
    if let metadata { members.append(.init("__metadata__", .object(metadata))) }
    for item in items {
      func numbers(_ values: [UInt64]) -> JSONValue { .array(values.map { .number("\($0)") }) }
      members.append(
        .init(
          item.name.description,
          .object([
            .init("dtype", .string(item.dtype)), .init("shape", numbers(item.extents)),
            .init("data_offsets", numbers([item.range.lowerBound, item.range.upperBound])),
          ])))
    }
    var json = Array(JSONValue.object(members).compact.utf8)
    while json.count % 8 != 0 || json.count + 8 < least { json.append(UInt8(ascii: " ")) }
    return UInt64(json.count).littleEndianBytes + json
  }
}

extension SafeTensorsHeader {
  /// The metadata; of a fact that occurs under two spellings of one name, the last.
  var facts: [String: String] {
    var facts: [String: String] = [:]
    for member in metadata ?? [] { facts[member.name] = member.value.text }
    return facts
  }
}
