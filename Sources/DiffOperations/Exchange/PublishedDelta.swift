import Checkpoints
import Compression
import StrictJSON
import SystemSupport
import TensorCore

/// A delta that another tool has published, open for reading. `Diffs.import` makes a diff of it.
public struct PublishedDelta: Sendable {
  /// The path that it was opened with.
  public let path: String
  /// What it is.
  public let format: DeltaFormat
  /// The checksum of the tensors' new bytes.
  public let checksum: DeltaChecksum
  /// The version that it makes, and the one that it was made on; nil in a format that has none.
  public let version, baseVersion: String?
  /// The tensors, ascending by name.
  let payloads: [Payload]

  /// What a delta has of a tensor.
  struct Payload: Sendable {
    let name: TensorName
    /// The compressed bytes.
    let stored: StoredTensor
    let file: any Checkpoint
    /// The checksum of the tensor's new bytes.
    let checksum: String
  }

  private static let indexName = "model.safetensors.index.json"
  private static let indexLimit: UInt64 = 100_000_000

  /// Whether there is a delta at a path: a folder whose index names a coding of deltas, or a
  /// safetensors file or folder of nothing but byte vectors with a checksum each. False for what
  /// cannot be read.
  public static func isDelta(_ path: String) -> Bool {
    if Folder.exists(path), let index = try? Index(path), index.encoding != nil { return true }
    guard Folder.exists(path) || (try? CheckpointFormat(contentsOf: path)) == .safetensors,
      let file = try? CheckpointFile.open(path)
    else { return false }
    return looksLikeArc(file)
  }

  private static func looksLikeArc(_ file: any Checkpoint) -> Bool {
    let facts = file.metadata
    return !file.tensors.isEmpty && file.skipped.allSatisfy { !$0.mayHoldNumbers }
      && file.tensors.allSatisfy {
        $0.type == .u8 && $0.shape.extents.count == 1
          && facts[$0.name.description].flatMap { UInt32($0) } != nil
      }
  }

  /// Opens a delta, in memory of its headers.
  ///
  /// - Throws: `unsupported`, with its name, for a coding that diffkit does not have: pickled
  ///   payloads (arc_v3), BLAKE3; `malformed` for what breaks the rules of its format; `io`.
  public init(_ path: String) throws(DiffError) {
    self.path = path
    guard Folder.exists(path), File.exists("\(path)/\(Self.indexName)"),
      case let index = try Index(path), index.encoding != nil
    else {
      let file = try CheckpointFile.open(path)
      guard Self.looksLikeArc(file) else {
        throw DiffError(.unsupported, "is no delta of a kind that diffkit reads", path: path)
      }
      payloads = try Self.payloads(of: file, path)
      format = try Self.arc(payloads)
      (checksum, version, baseVersion) = (.adler32, nil, nil)
      return
    }
    do throws(DiffError) {
      (format, checksum) = try index.codings()
      (version, baseVersion) = (try index.number("version"), try index.number("base_version"))
    } catch { throw error.at(path: "\(path)/\(Self.indexName)") }
    payloads = try index.payloads()
  }

  private static func payloads(
    of file: any Checkpoint, _ path: String
  ) throws(DiffError) -> [Payload] {
    let facts = file.metadata
    return try file.tensors.map { (stored) throws(DiffError) in
      guard stored.type == .u8, stored.shape.extents.count == 1,
        case .contiguous = stored.storage
      else {
        throw DiffError(
          .malformed, "is \(stored.type) \(stored.shape), not a vector of bytes", path: file.path,
          tensor: stored.name)
      }
      guard let checksum = facts[stored.name.description] else {
        throw DiffError(.malformed, "has no checksum", path: file.path, tensor: stored.name)
      }
      return Payload(name: stored.name, stored: stored, file: file, checksum: checksum)
    }
  }

  /// Tells Fireworks' formats apart by how payloads begin.
  private static func arc(_ payloads: [Payload]) throws(DiffError) -> DeltaFormat {
    for payload in payloads {
      let count = min(14, Int(payload.stored.byteCount))
      var start = [UInt8](repeating: 0, count: count)
      var span = start.mutableSpan
      try payload.file.read(payload.stored, at: 0, into: &span)
      if start.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return .arcV2 }
      if start.count > 2, start[0] & 0x0F == 8, (Int(start[0]) << 8 | Int(start[1])) % 31 == 0 {
        return .arcV1
      }
      let isPickled = start.elementsEqual("ARC3_ENVELOPE\0".utf8)
      // Where arc_v3 gains nothing, it stores a safetensors file in a safetensors file.
      guard !isPickled, !(start.count > 8 && start[8] == UInt8(ascii: "{")) else {
        throw DiffError(
          .unsupported,
          "is a delta of Fireworks' arc_v3, which holds pickled Python; publish it as "
            + "arc_v2", path: payload.file.path, tensor: payload.name)
      }
      guard start.isEmpty else {
        throw DiffError(
          .malformed, "is compressed neither by zlib nor by zstd", path: payload.file.path,
          tensor: payload.name)
      }
    }
    return .arcV2
  }

  /// The bytes of a payload, expanded.
  func bytes(of payload: Payload) -> PayloadReader {
    PayloadReader(payload, format == .arcV1 ? ZlibExpander() : ZstdExpander())
  }

  /// The index of a folder.
  private struct Index {
    let folder: String
    private let facts: JSONValue?
    private let files: [JSONValue.Member]

    init(_ folder: String) throws(DiffError) {
      self.folder = folder
      let path = "\(folder)/\(PublishedDelta.indexName)"
      (facts, files) = try File.parse(path, limit: PublishedDelta.indexLimit) {
        bytes throws(DiffError) in
        let json = try JSONValue(parsing: bytes)
        guard let files = json["weight_map"]?.members else {
          throw DiffError(.malformed, "has no object 'weight_map'")
        }
        return (json["metadata"], files)
      }
    }

    var encoding: String? { facts?["delta_encoding"]?.text }

    /// A number, which some write as a text.
    func number(_ key: String) throws(DiffError) -> String? {
      guard let value = facts?[key] else { throw DiffError(.malformed, "has no '\(key)'") }
      guard let number = UInt64(value.text ?? value.compact) else {
        throw DiffError(.malformed, "its '\(key)' is no number")
      }
      return "\(number)"
    }

    func codings() throws(DiffError) -> (DeltaFormat, DeltaChecksum) {
      func text(_ key: String) -> String { facts?[key]?.text ?? "" }
      func unknown(_ what: String, _ key: String) -> DiffError {
        DiffError(
          .unsupported, "is a delta of the \(what) '\(text(key))', which diffkit does not read")
      }
      let formats: [String: DeltaFormat] = ["xor": .deltaXor, "overwrite": .deltaOverwrite]
      guard let format = formats[text("delta_encoding")] else {
        throw unknown("encoding", "delta_encoding")
      }
      guard text("compression_format") == "zstd" else {
        throw unknown("compression", "compression_format")
      }
      guard let checksum = DeltaChecksum(rawValue: text("checksum_format")) else {
        throw unknown("checksum", "checksum_format")
      }
      return (format, checksum)
    }

    /// What the files hold: what the index says, no more and no less.
    func payloads() throws(DiffError) -> [Payload] {
      let path = "\(folder)/\(PublishedDelta.indexName)"
      var rest: [String: Set<TensorName>] = [:]
      for member in files {
        guard let name = member.value.text, name.hasSuffix(".safetensors"),
          !name.utf8.contains(UInt8(ascii: "/")), !name.utf8.contains(0)
        else {
          throw DiffError(
            .malformed, "its file is not the name of a safetensors file in the folder", path: path,
            tensor: TensorName(member.name))
        }
        rest[name, default: []].insert(TensorName(member.name))
      }
      for name in try Folder.names(folder)
      where name.hasSuffix(".safetensors") && rest[name] == nil {
        throw DiffError(.malformed, "is not in the index", path: "\(folder)/\(name)")
      }
      var payloads: [Payload] = []
      for (name, tensors) in rest.sorted(by: { $0.key < $1.key }) {
        let file = try CheckpointFile.open("\(folder)/\(name)")
        let found = try PublishedDelta.payloads(of: file, folder)
        for payload in found where !tensors.contains(payload.name) {
          throw DiffError(
            .malformed, "is in \(name), but the index does not say so", path: path,
            tensor: payload.name)
        }
        if let missing = tensors.subtracting(found.map(\.name)).min() {
          throw DiffError(
            .malformed, "is in the index, but not in \(name)", path: path, tensor: missing)
        }
        payloads += found
      }
      return payloads.sorted { $0.name < $1.name }
    }
  }
}
