import StrictJSON
import SystemSupport
import TensorCore

/// The index of a checkpoint in several safetensors files, as transformers writes it: a JSON
/// object whose `weight_map` names the file of each tensor.
struct SafeTensorsIndex: Sendable {
  /// The path of the index file, or of a folder without one.
  private let path: String
  /// The name of the index file in its folder; nil if there is none, but only one file.
  let name: String?
  /// The files, sorted, as names in the folder.
  let parts: [String]
  /// The whole object, to be written back.
  private let json: JSONValue

  /// What the name of an index ends with.
  static let suffix = ".safetensors.index.json"

  /// Finds the index of a folder, or else its only file.
  init(folder: String, _ names: [String]) throws(DiffError) {
    let indices = names.filter { $0.hasSuffix(Self.suffix) }.sorted()
    guard indices.count <= 1 else {
      throw DiffError(
        .notACheckpoint, "holds several indices; name one of \(indices.joined(separator: ", "))",
        path: folder)
    }
    if let index = indices.first {
      try self.init("\(folder)/\(index)", name: index)
    } else {
      try self.init(onlyFileOf: folder, names)
    }
  }

  private init(onlyFileOf folder: String, _ names: [String]) throws(DiffError) {
    let files = names.filter { $0.hasSuffix(".safetensors") }.sorted()
    guard files.count == 1 else {
      throw DiffError(
        .notACheckpoint,
        files.isEmpty
          ? "a folder without safetensors files"
          : "a folder of \(files.count) safetensors files without an index; name one of them",
        path: folder)
    }
    path = folder
    name = nil
    parts = files
    json = .object([])
  }

  /// Reads an index.
  init(_ path: String, name: String) throws(DiffError) {
    self.path = path
    self.name = name
    (json, parts) = try File.parse(path, limit: SafeTensorsHeader.maximumLength) {
      bytes throws(DiffError) in
      let json = try JSONValue(parsing: bytes)
      return (json, try Self.parts(json))
    }
  }

  private static func parts(_ json: JSONValue) throws(DiffError) -> [String] {
    guard let map = json["weight_map"]?.members else {
      throw DiffError(.malformed, "has no object 'weight_map'")
    }
    var parts: Set<String> = []
    for member in map {
      guard let part = member.value.text, part.hasSuffix(".safetensors"),
        !part.utf8.contains(UInt8(ascii: "/")), !part.utf8.contains(0)
      else {
        throw DiffError(
          .malformed, "its file is no name of a safetensors file in the folder",
          tensor: TensorName(member.name))
      }
      parts.insert(part)
    }
    guard !parts.isEmpty else { throw DiffError(.malformed, "names no files") }
    return parts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The texts among the facts that the index states.
  var facts: [String: String] {
    var facts: [String: String] = [:]
    for member in json["metadata"]?.members ?? [] { facts[member.name] = member.value.text }
    return facts
  }

  /// Refuses a map that is not that of the files.
  ///
  /// - Complexity: O(n log n) in tensors.
  func check(_ files: [SafeTensorsFile]) throws(DiffError) {
    guard let map = json["weight_map"]?.members else { return }
    var mapped: [TensorName: String] = [:]
    for member in map { mapped[TensorName(member.name)] = member.value.text }
    for (part, file) in zip(parts, files) {
      for item in file.header.items {
        guard mapped.removeValue(forKey: item.name) == part else {
          throw DiffError(
            .malformed, "is in \(part), but the index does not say so", path: path,
            tensor: item.name)
        }
      }
    }
    if let name = mapped.keys.min() {
      throw DiffError(.malformed, "is in the index and in no file", path: path, tensor: name)
    }
  }

  /// The text of the index for other files.
  func text(_ headers: [SafeTensorsHeader]) -> String {
    let rows = zip(parts, headers).flatMap { part, header in header.items.map { ($0, part) } }
    let map = rows.sorted { $0.0.name < $1.0.name }.map { item, part in
      JSONValue.Member(item.name.description, .string(part))
    }
    let total = rows.reduce(0) { $0 + $1.0.range.count }
    var members = json.members ?? []
    for index in members.indices {
      switch members[index].name {
      case "weight_map": members[index].value = .object(map)
      case "metadata":
        guard var facts = members[index].value.members,
          let size = facts.firstIndex(where: { $0.name == "total_size" })
        else { continue }
        facts[size].value = .number("\(total)")
        members[index].value = .object(facts)
      default: break
      }
    }
    return JSONValue.object(members).compact + "\n"
  }
}
