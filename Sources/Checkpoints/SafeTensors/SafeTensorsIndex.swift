import StrictJSON
import SystemSupport
import TensorCore

/// The index of a checkpoint of several safetensors files, as written by transformers: a JSON
/// object whose `weight_map` names the file of each tensor.
struct SafeTensorsIndex: Sendable {
  /// The path of the index file, or of the folder if there is none.
  private let path: String
  /// The name of the index file in its folder; nil for a single file without an index.
  let name: String?
  /// The names of the files in the folder, sorted.
  let parts: [String]
  /// The whole object, for writing it back.
  private let json: JSONValue

  /// Returns whether a file of this name is an index. For a variant of a model, transformers
  /// inserts the variant's name before the last suffix.
  static func isIndex(_ path: String) -> Bool {
    guard path.hasSuffix(".json") else { return false }
    return path.hasSuffix(".safetensors.index.json")
      || OutputFile.split(path).name.contains(".safetensors.index.")
  }

  /// Finds the weights of a folder: those which transformers loads, a file `model.safetensors` or
  /// else the files of `model.safetensors.index.json`; in a folder without these, its only index or
  /// its only file.
  init(folder: String, _ names: [String]) throws(DiffError) {
    let files = names.filter { $0.hasSuffix(".safetensors") }
    let indices = names.filter(Self.isIndex)
    let usual = "model.safetensors.index.json"
    let index = indices.contains(usual) ? usual : indices.count == 1 ? indices[0] : nil
    // The single file that would replace the files of the index, unless it is one of them.
    let whole = index?.firstRange(of: ".index.").map { String(index?[..<$0.lowerBound] ?? "") }
    if let index, let whole, !files.contains(whole) || Self.lists(whole, "\(folder)/\(index)") {
      try self.init("\(folder)/\(index)", name: index)
    } else if files.contains("model.safetensors") {
      self.init(onlyFile: "model.safetensors", of: folder)
    } else if indices.isEmpty, files.count == 1 {
      self.init(onlyFile: files[0], of: folder)
    } else {
      throw DiffError(.notACheckpoint, Self.fault(names, files, indices), path: folder)
    }
  }

  /// Returns whether an index can be read and lists a file.
  private static func lists(_ part: String, _ index: String) -> Bool {
    (try? Self(index, name: index))?.parts.contains(part) == true
  }

  /// Describes why the weights of a folder are ambiguous or absent.
  private static func fault(_ names: [String], _ files: [String], _ indices: [String]) -> String {
    if !indices.isEmpty {
      let sets = files.filter { file in indices.contains { $0.hasPrefix(file + ".index.") } }
      return "a folder of several sets of weights; name one of "
        + (indices + sets).joined(separator: ", ")
    }
    if !files.isEmpty {
      return "a folder of \(files.count) safetensors files without an index; name one of them"
    }
    return ForeignFile.description(ofFolder: names) ?? "a folder without safetensors files"
  }

  private init(onlyFile file: String, of folder: String) {
    path = folder
    name = nil
    parts = [file]
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
          .malformed, "its file is not the name of a safetensors file in the folder",
          tensor: TensorName(member.name))
      }
      parts.insert(part)
    }
    guard !parts.isEmpty else { throw DiffError(.malformed, "names no files") }
    return parts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The texts in the metadata of the index.
  var metadata: [String: String] {
    var metadata: [String: String] = [:]
    for member in json["metadata"]?.members ?? [] { metadata[member.name] = member.value.text }
    return metadata
  }

  /// Refuses an index whose map does not match the files.
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
            .malformed, "is in \(part), but the index does not list it there", path: path,
            tensor: item.name)
        }
      }
    }
    if let name = mapped.keys.min() {
      throw DiffError(.malformed, "is in the index but in no file", path: path, tensor: name)
    }
  }

  /// Returns the text of the index for changed files.
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
        guard var metadata = members[index].value.members,
          let size = metadata.firstIndex(where: { $0.name == "total_size" })
        else { continue }
        metadata[size].value = .number("\(total)")
        members[index].value = .object(metadata)
      default: break
      }
    }
    return JSONValue.object(members).compact + "\n"
  }
}
