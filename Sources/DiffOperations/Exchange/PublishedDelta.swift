import Checkpoints
import Compression
import StrictJSON
import SystemSupport
import TensorCore

/// A delta published by another tool, open for reading. `Diffs.import` converts it to a diff.
public struct PublishedDelta: Sendable {
  /// The path of the delta.
  public let path: String
  /// The format of the delta.
  public let format: DeltaFormat
  /// The checksum of the tensors' new bytes.
  public let checksum: DeltaChecksum
  /// The version of the result and of the base; nil in a format without versions.
  public let version, baseVersion: String?
  /// The payloads, sorted by the names of their tensors.
  let payloads: [Payload]

  /// The data of a tensor in a delta.
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

  /// Returns whether there is a delta at a path: a folder whose index names a coding of deltas, or
  /// a safetensors file or folder of only byte vectors, each with a checksum. Returns false for a
  /// file that cannot be read.
  public static func isDelta(_ path: String) -> Bool {
    if Folder.exists(path), let index = try? Index(path), index.encoding != nil { return true }
    guard Folder.exists(path) || (try? CheckpointFormat(contentsOf: path)) == .safetensors,
      let file = try? CheckpointFile.openAny(path)
    else { return false }
    return file.isPublishedDelta
  }

  /// Opens a delta, reading only its headers into memory.
  ///
  /// - Throws: `unsupported`, with its name, for a coding that diffkit does not support: pickled
  ///   payloads (arc_v3), BLAKE3; `malformed` for a violation of the format; `io`.
  public init(_ path: String) throws(DiffError) {
    self.path = path
    guard Folder.exists(path), File.exists("\(path)/\(Self.indexName)"),
      case let index = try Index(path), index.encoding != nil
    else {
      let file = try CheckpointFile.openAny(path)
      guard file.isPublishedDelta else {
        throw DiffError(.unsupported, "is not a delta of a format that diffkit reads", path: path)
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
    let metadata = file.metadata
    return try file.tensors.map { (stored) throws(DiffError) in
      guard stored.type == .u8, stored.shape.extents.count == 1,
        case .contiguous = stored.storage
      else {
        throw DiffError(
          .malformed, "is \(stored.type) \(stored.shape), not a vector of bytes", path: file.path,
          tensor: stored.name)
      }
      guard let checksum = metadata[stored.name.description] else {
        throw DiffError(.malformed, "has no checksum", path: file.path, tensor: stored.name)
      }
      return Payload(name: stored.name, stored: stored, file: file, checksum: checksum)
    }
  }

  /// Returns which of Fireworks' formats the payloads have, by their first bytes.
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
      // If arc_v3 does not save space, it stores a safetensors file in a safetensors file.
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

  /// Returns a reader of the expanded bytes of a payload.
  func bytes(of payload: Payload) -> PayloadReader {
    PayloadReader(payload, format == .arcV1 ? ZlibExpander() : ZstdExpander())
  }

  /// The index of a folder.
  private struct Index {
    let folder: String
    private let metadata: JSONValue?
    private let files: [JSONValue.Member]

    init(_ folder: String) throws(DiffError) {
      self.folder = folder
      let path = "\(folder)/\(PublishedDelta.indexName)"
      (metadata, files) = try File.parse(path, limit: PublishedDelta.indexLimit) {
        bytes throws(DiffError) in
        let json = try JSONValue(parsing: bytes)
        guard let files = json["weight_map"]?.members else {
          throw DiffError(.malformed, "has no object 'weight_map'")
        }
        return (json["metadata"], files)
      }
    }

    var encoding: String? { metadata?["delta_encoding"]?.text }

    /// Returns a number, which some tools write as a string.
    func number(_ key: String) throws(DiffError) -> String? {
      guard let value = metadata?[key] else { throw DiffError(.malformed, "has no '\(key)'") }
      guard let number = UInt64(value.text ?? value.compact) else {
        throw DiffError(.malformed, "its '\(key)' is not a number")
      }
      return "\(number)"
    }

    func codings() throws(DiffError) -> (DeltaFormat, DeltaChecksum) {
      func text(_ key: String) -> String { metadata?[key]?.text ?? "" }
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

    /// Returns the payloads of the files, which must be exactly those of the index.
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
        let file = try CheckpointFile.openAny("\(folder)/\(name)")
        let found = try PublishedDelta.payloads(of: file, folder)
        for payload in found where !tensors.contains(payload.name) {
          throw DiffError(
            .malformed, "is in \(name), but not in the index", path: path,
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
