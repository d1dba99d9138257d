import SystemSupport
import TensorCore

/// A checkpoint of several safetensors files with an index, in one folder.
public final class SafeTensorsFolder: Checkpoint {
  /// The path it was opened with: the folder, or its index.
  public let path: String
  /// The safetensors format.
  public let format: CheckpointFormat? = .safetensors
  /// The metadata of the files and the index; if values differ, that of the first file.
  public let metadata: [String: String]
  /// The files that hold tensors.
  public let files: [String]
  /// The tensors of all files, ascending by name.
  public let tensors: [StoredTensor]
  /// The tensors of unsupported types, and the files of other weights.
  public let skipped: [SkippedObject]
  /// The names of the folder's files that may hold weights but do not belong to this checkpoint.
  let otherWeights: [String]
  let folder: String
  private let index: SafeTensorsIndex
  private let parts: [SafeTensorsFile]
  /// The new contents of other files of the folder in its copy, by name.
  let replaced: [String: [UInt8]]

  /// Opens a folder, or an index and the files that it names.
  ///
  /// - Parameters:
  ///   - path: the path of the folder, or of its index.
  ///   - replaced: contents that an output has instead of other files of the folder, by name.
  /// - Throws: `io`; `notACheckpoint` if the folder holds none; `malformed`, `truncated` or
  ///   `limit` if a header or the index breaks a rule.
  /// - Complexity: O(n log n) in the length of all headers.
  public init(_ path: String, replacing replaced: [String: [UInt8]] = [:]) throws(DiffError) {
    self.path = path
    self.replaced = replaced
    if path.hasSuffix(".json") {
      let split = OutputFile.split(path)
      folder = split.folder
      index = try SafeTensorsIndex(path, name: split.name)
    } else {
      folder = path
      index = try SafeTensorsIndex(folder: path, Folder.names(path))
    }
    var parts: [SafeTensorsFile] = []
    for part in index.parts { parts.append(try SafeTensorsFile("\(folder)/\(part)")) }
    try index.check(parts)
    files = parts.map(\.file.path)
    tensors = parts.enumerated().flatMap { $1.tensors(file: $0) }.sorted { $0.name < $1.name }
    let known = Set(index.parts + [index.name].compactMap { $0 })
    otherWeights = try Folder.names(folder).filter {
      !known.contains($0) && (ForeignFile.mayHoldWeights($0) || SafeTensorsIndex.isIndex($0))
    }
    skipped =
      parts.flatMap(\.skipped)
      + otherWeights.map {
        SkippedObject(
          name: TensorName($0), reason: "a file of other weights", mayHoldNumbers: false)
      }
    metadata = parts.reduce(into: [:]) { metadata, part in
      metadata.merge(part.header.metadataTexts) { first, _ in first }
    }.merging(index.metadata) { ofFile, _ in ofFile }
    self.parts = parts
    if let twice = zip(tensors, tensors.dropFirst()).first(where: { $0.name == $1.name }) {
      throw DiffError(.malformed, "is in two files", path: path, tensor: twice.0.name)
    }
  }

  /// Fills `buffer` with the tensor's bytes, starting at `offset`. O(`buffer.count`), in parallel.
  public func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    try parts[tensor.file].read(tensor, at: offset, into: &buffer)
  }

  /// Returns the contents of the files other than tensors, and the folder's other files.
  public func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent] {
    var contents = metadata.sorted { $0.key < $1.key }.map { key, text in
      OtherContent(
        "__metadata__", attribute: key, "metadata", XXH3.hash128(Array(text.utf8).span))
    }
    for part in parts {
      contents += try part.otherContents(withWeights: withWeights).filter { $0.attribute == nil }
    }
    for name in try unlistedNames
    where withWeights || !otherWeights.contains(name) && !isHiddenFolder(name) {
      try add(name, to: &contents)
    }
    addUnnamed(try Folder.unnamedCount(folder), in: "", to: &contents)
    return contents
  }

  /// Appends the file `name`, or all files of the folder `name`.
  private func add(_ name: String, to contents: inout [OtherContent]) throws(DiffError) {
    let path = "\(folder)/\(name)"
    if let special = SpecialFile(path) {
      return contents.append(OtherContent(TensorName(name), special.what, special.digest))
    }
    guard Folder.exists(path) else {
      return contents.append(OtherContent(TensorName(name), "a file", try File(path).digest()))
    }
    let (names, unnamed) = (try Folder.names(path), try Folder.unnamedCount(path))
    if names.isEmpty && unnamed == 0 {
      let none: [UInt8] = []
      contents.append(OtherContent(TensorName(name), "an empty folder", XXH3.hash128(none.span)))
    }
    for inner in names { try add("\(name)/\(inner)", to: &contents) }
    addUnnamed(unnamed, in: "\(name)/", to: &contents)
  }

  /// Adds files that cannot be opened by their names, and so are not compared.
  private func addUnnamed(_ count: Int, in prefix: String, to contents: inout [OtherContent]) {
    guard count > 0 else { return }
    contents.append(
      OtherContent(TensorName("\(prefix)\u{FFFD}"), "files whose names are not UTF-8", nil))
  }

  /// The names of what else the folder holds and a copy of it gets: all but hidden folders, which
  /// belong to this folder and not to the model, as `.git` and `.cache` do.
  var otherFiles: [String] {
    get throws(DiffError) { try unlistedNames.filter { !isHiddenFolder($0) } }
  }

  /// The names of what the folder holds besides the files with tensors and their index.
  private var unlistedNames: [String] {
    get throws(DiffError) {
      let known = Set(index.parts + [index.name].compactMap { $0 })
      return try Folder.names(folder).filter {
        !known.contains($0) && !$0.hasSuffix(Journal.newSuffix)
      }
    }
  }

  private func isHiddenFolder(_ name: String) -> Bool {
    name.hasPrefix(".") && Folder.exists("\(folder)/\(name)")
  }

  /// Starts a copy of the folder at `path`: the files with tensors, the index, and every other
  /// file in it (the model's configuration, the tokenizer). New tensors go to the last file.
  ///
  /// - Throws: `exists` if there is something at `path`: a folder is not replaced.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    guard CheckpointFormat(suffixOf: path) == nil else {
      throw DiffError(
        .usage,
        "names a file, but \(folder) is a folder and is copied as one; name a folder, or convert "
          + "to one file first", path: path)
    }
    let output = try OutputFolder(path)
    var owners: [TensorName: Int] = [:]
    for tensor in tensors { owners[tensor.name] = tensor.file }
    var changes = [[TableChange]](repeating: [], count: parts.count)
    for change in changing {
      switch change {
      case .insert: changes[parts.count - 1].append(change)
      case .delete(let name), .reshape(let name, _):
        changes[owners[name] ?? 0].append(change)
      }
    }
    var outputs: [SafeTensorsOutput] = []
    var headers: [SafeTensorsHeader] = []
    for (number, part) in parts.enumerated() {
      outputs.append(
        try SafeTensorsOutput(
          output.temporaryPath(of: index.parts[number]), copying: part, rewriting: rewriting,
          changing: changes[number], overwriting: false))
      headers.append(try part.header.changed(by: changes[number]).header)
    }
    for name in try otherFiles {
      if let bytes = replaced[name] {
        try output.write(bytes, as: name)
      } else {
        try output.copy("\(folder)/\(name)", as: name)
      }
    }
    if let name = index.name {
      let isChanged = !changing.isEmpty
      if isChanged {
        try output.write(Array(index.text(headers).utf8), as: name)
      } else {
        try output.copy("\(folder)/\(name)", as: name)
      }
    }
    var partOfInserted = owners
    for case .insert(let name, _, _) in changing { partOfInserted[name] = parts.count - 1 }
    return SafeTensorsFolderOutput(output, outputs, partOfInserted)
  }

  /// Starts to change the files themselves, through one journal.
  public func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput {
    try PatchOutput(journalled, parts.map(\.file))
  }

  /// Starts new files that replace the old ones together.
  public func makeReplacement(
    rewriting: Set<TensorName>
  ) throws(DiffError) -> any CheckpointOutput {
    try ReplacingOutput(journalled, parts, rewriting: rewriting)
  }

  /// The path that the journal of a change is named after.
  private var journalled: String { index.name.map { "\(folder)/\($0)" } ?? files[0] }
}
