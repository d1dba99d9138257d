import StrictJSON
import TensorCore

extension StoreIndex {
  /// The maximum size of an index in bytes.
  static let sizeLimit: UInt64 = 32 << 20

  /// The maximum number of JSON values in a version: a folder of some 20 000 files. A value takes
  /// more memory than its text.
  private static let valuesLimit = 1 << 17

  /// Parses and checks the text of an index. Rows become versions as they are read, so memory is
  /// that of the versions.
  ///
  /// - Throws: `malformed` with the version and the error in it.
  init(parsing bytes: [UInt8]) throws(DiffError) {
    var versions: [StoreVersion] = []
    var names: Set<String> = []
    // An unsupported version of the index is reported first, wherever its member is.
    var failure: DiffError?
    let json = try JSONValue(
      parsing: bytes, elementsOf: "versions", valuesEach: Self.valuesLimit
    ) { (row) throws(DiffError) in
      guard failure == nil else { return }
      do throws(DiffError) {
        versions.append(try StoreVersion(row, number: versions.count + 1, after: &names))
      } catch { failure = error }
    }
    guard let version = json["diffkit-store"] else {
      throw DiffError(.malformed, "is not the index of a store")
    }
    guard version.unsigned == 1 else {
      throw DiffError(
        .unsupportedVersion,
        "is an index of version \(version.compact); this diffkit reads version 1")
    }
    guard let generation = json["generation"]?.unsigned, generation < .max,
      let share = json["anchor-share"]?.double, share > 0, share.isFinite,
      let links = json["anchor-links"]?.unsigned, links > 0, json["versions"]?.elements == []
    else { throw DiffError(.malformed, "the index lacks a member, or one is out of range") }
    if let failure { throw failure }
    self.init(anchorShare: share, anchorLinks: links)
    self.generation = generation
    model = try (json["model"]?.elements ?? []).map { (json) throws(DiffError) in
      try StoreFile(json, named: nil)
    }
    guard Set(model.map(\.name)).count == model.count else {
      throw DiffError(.malformed, "a file of the model occurs twice")
    }
    self.versions = versions
  }

  /// The text of the index: a line for each version.
  var text: String {
    let rows = versions.map(\.json.compact)
    let model = model.isEmpty ? "" : "\"model\":\(JSONValue.array(model.map(\.named)).compact),"
    return """
      {"diffkit-store":1,"generation":\(generation),"anchor-share":\(anchorShare),\
      "anchor-links":\(anchorLinks),\(model)"versions":[
      \(rows.joined(separator: ",\n"))
      ]}

      """
  }
}

extension StoreVersion {
  /// Parses a row of the index, whose parent must be one of the names before it.
  fileprivate init(
    _ json: JSONValue, number: Int, after names: inout Set<String>
  ) throws(DiffError) {
    do throws(DiffError) { try self.init(json) } catch {
      throw DiffError(error.code, "version \(number): \(error.message)")
    }
    func refuse(_ message: String) -> DiffError {
      DiffError(.malformed, "version '\(name)': \(message)")
    }
    // A parent precedes its children, so there are no cycles.
    if let parent, !names.contains(parent) {
      throw refuse("its parent '\(parent)' is not an earlier version")
    }
    guard (parent == nil) == (link == nil) else {
      throw refuse("has a parent without a link, or a link without a parent")
    }
    guard parent != nil || anchor != nil else {
      throw refuse("neither a link nor an anchor leads to it")
    }
    guard names.insert(name).inserted else { throw refuse("its name occurs twice") }
  }

  private init(_ json: JSONValue) throws(DiffError) {
    let row = Row(json)
    name = try row.text("name")
    guard name.isVersionName else { throw DiffError(.malformed, "'\(name)' is not a valid name") }
    isNamed = json["named"] != .bool(false)
    fingerprint = try row.fingerprint("checkpoint")
    time = try row.number("time")
    parent = json["parent"]?.text
    link = try json["link"].map { (json) throws(DiffError) in try StoreLink(json) }
    anchor = try json["anchor"].map { (json) throws(DiffError) in try StoreAnchor(json) }
    metadata = [:]
    for member in json["metadata"]?.members ?? [] {
      guard let text = member.value.text else { throw row.wrong("metadata") }
      metadata[member.name] = text
    }
  }

  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init("name", .string(name)), .init("checkpoint", .string(fingerprint.description)),
      .init("time", .number("\(time)")),
    ]
    if !isNamed { members.append(.init("named", .bool(false))) }
    if let parent { members.append(.init("parent", .string(parent))) }
    if let link { members.append(.init("link", link.json)) }
    if let anchor { members.append(.init("anchor", anchor.json)) }
    if !metadata.isEmpty {
      let pairs = metadata.sorted { $0.key < $1.key }
      members.append(.init("metadata", .object(pairs.map { .init($0.key, .string($0.value)) })))
    }
    return .object(members)
  }
}

extension StoreLink {
  fileprivate init(_ json: JSONValue) throws(DiffError) {
    let row = Row(json)
    identity = try row.fingerprint("diff")
    guard let kind = Kind(rawValue: try row.text("kind")) else { throw row.wrong("kind") }
    self.kind = kind
    file = try StoreFile(json, named: "\(identity).diff")
    changes = try row.number("changes")
    elements = try row.number("elements")
  }

  fileprivate var json: JSONValue {
    .object(
      [
        .init("diff", .string(identity.description)), .init("kind", .string(kind.rawValue)),
        .init("changes", .number("\(changes)")), .init("elements", .number("\(elements)")),
      ] + file.members)
  }
}

extension StoreAnchor {
  fileprivate init(_ json: JSONValue) throws(DiffError) {
    let row = Row(json)
    name = try row.text("name")
    guard name.isPathBelow, !name.utf8.contains(UInt8(ascii: "/")) else { throw row.wrong("name") }
    isFolder = json["folder"] == .bool(true)
    guard let files = json["files"]?.elements, !files.isEmpty, isFolder || files.count == 1 else {
      throw row.wrong("files")
    }
    let own = isFolder ? nil : name
    self.files = try files.map { (json) throws(DiffError) in try StoreFile(json, named: own) }
    guard Set(self.files.map(\.name)).count == files.count else { throw row.wrong("files") }
  }

  fileprivate var json: JSONValue {
    .object([
      .init("name", .string(name)), .init("folder", .bool(isFolder)),
      .init(
        "files",
        .array(
          files.map { isFolder ? $0.named : .object($0.members) })),
    ])
  }
}

extension StoreFile {
  /// Parses a file.
  ///
  /// - Parameter name: the name of the file, if the index does not state it.
  fileprivate init(_ json: JSONValue, named name: String?) throws(DiffError) {
    let row = Row(json)
    if let name { self.name = name } else { self.name = try row.text("name") }
    size = try row.number("size")
    sha256 = try row.text("sha256")
    guard self.name.isPathBelow else {
      throw DiffError(.malformed, "'\(self.name)' is not a path below the anchor")
    }
    guard sha256.isSHA256 else { throw row.wrong("sha256") }
  }

  fileprivate var named: JSONValue { .object([.init("name", .string(name))] + members) }

  fileprivate var members: [JSONValue.Member] {
    [.init("size", .number("\(size)")), .init("sha256", .string(sha256))]
  }
}

/// An object of the index, whose members are required.
private struct Row {
  private let json: JSONValue

  init(_ json: JSONValue) { self.json = json }

  func text(_ name: String) throws(DiffError) -> String {
    guard let text = json[name]?.text else { throw wrong(name) }
    return text
  }

  func number(_ name: String) throws(DiffError) -> UInt64 {
    guard let number = json[name]?.unsigned else { throw wrong(name) }
    return number
  }

  func fingerprint(_ name: String) throws(DiffError) -> Fingerprint {
    guard let fingerprint = Fingerprint(try text(name)) else { throw wrong(name) }
    return fingerprint
  }

  func wrong(_ name: String) -> DiffError {
    DiffError(.malformed, "'\(name)' is missing or invalid")
  }
}
