import Checkpoints
import DiffOperations
import SystemSupport
import TensorCore

/// The output of `inspect` for a checkpoint.
struct CheckpointInspection: CommandOutput {
  struct Tensor: Encodable {
    let name, type, layout: String
    let shape: [UInt64]
    let bytes: UInt64
    let bigEndian: Bool
    let aliases: [String]
    /// The file's name of the tensor's layer, if the tensor's name does not contain it.
    let label: String?
    let fingerprint: String?
    /// The reason why it cannot be read; nil if it was read, or reading it was not tried.
    let trouble: String?
  }

  struct Skipped: Encodable {
    let name, reason: String

    init(_ object: SkippedObject) {
      name = object.name.description
      reason = object.reason + (object.remedy.map { " (\($0.commandLine))" } ?? "")
    }

    fileprivate init(_ error: DiffError) {
      name = error.tensor?.description ?? ""
      reason = error.message
    }
  }

  let path, format: String
  let files: [String]
  let size, elements: UInt64
  /// The fingerprint of the whole checkpoint, if all tensors were hashed and names are unambiguous.
  let fingerprint: String?
  let tensors: [Tensor]
  /// The tensors of which not even type and shape can be read.
  let damaged: [Skipped]
  let skipped: [Skipped]

  init(_ checkpoint: any Checkpoint, hashing: Bool) throws(DiffError) {
    path = checkpoint.path
    format = checkpoint.format?.rawValue ?? "memory"
    files = checkpoint.files
    size = try checkpoint.files.map { path throws(DiffError) in try File(path).size }.clampedSum
    elements = checkpoint.tensors.map(\.shape.count).clampedSum
    var hashes: [(name: TensorName, fingerprint: Fingerprint)] = []
    tensors = try checkpoint.tensors.map { tensor throws(DiffError) in
      var fingerprint: String?
      var trouble: String?
      if hashing {
        do throws(DiffError) {
          let hash = try checkpoint.fingerprint(of: tensor)
          hashes.append((tensor.name, hash))
          fingerprint = hash.description
        } catch {
          // This concerns one tensor only: the others can be hashed.
          guard [.unsupportedCheckpoint, .malformed, .checksum].contains(error.code) else {
            throw error
          }
          trouble = error.message
        }
      }
      return Tensor(
        name: "\(tensor.name)", type: tensor.type.name, layout: tensor.storage.text,
        shape: tensor.shape.extents, bytes: tensor.byteCount, bigEndian: tensor.isBigEndian,
        aliases: tensor.aliases.map(\.description), label: tensor.label,
        fingerprint: fingerprint, trouble: trouble)
    }
    fingerprint =
      !hashing || hashes.count < checkpoint.tensors.count || !checkpoint.damaged.isEmpty
      ? nil : Fingerprint.ofCheckpoint(hashes.filter { !$0.name.isOptimizerState })?.description
    damaged = checkpoint.damaged.map { Skipped($0) }
    skipped = checkpoint.skipped.map { Skipped($0) }
  }

  /// The names of tensors that cannot be read, or not whole, with reasons.
  var unread: [(name: String, reason: String)] {
    damaged.map { ($0.name, $0.reason) }
      + tensors.compactMap { tensor in tensor.trouble.map { (tensor.name, $0) } }
  }

  var text: String {
    var pairs = [("file", path), ("format", format), ("size", size.bytes)]
    if files.count > 1 { pairs.append(("parts", "\(files.count)")) }
    pairs += [("tensors", "\(tensors.count)"), ("elements", elements.grouped)]
    if let fingerprint { pairs.append(("fingerprint", fingerprint)) }
    let isHashed = tensors.contains { $0.fingerprint != nil || $0.trouble != nil }
    var table = TextTable(
      ["tensor", "type", "shape", "bytes", "layout"] + (isHashed ? ["fingerprint"] : []),
      rightAligned: [3], shrinking: [0, 4])
    for tensor in tensors {
      let names =
        [tensor.name] + tensor.aliases.map { "= \($0)" } + (tensor.label.map { ["(\($0))"] } ?? [])
      table.add(
        [
          names.joined(separator: " "), tensor.type + (tensor.bigEndian ? " big-endian" : ""),
          "\(tensor.shape)", tensor.bytes.grouped, tensor.layout,
        ] + (isHashed ? [tensor.fingerprint ?? "–"] : []))
    }
    var out = fieldLines(pairs) + "\n" + table.text
    if !unread.isEmpty { out += "\nnot read:\n" }
    for (name, reason) in unread {
      out += "  \(name.abbreviated().escapingControls): \(reason.escapingControls)\n"
    }
    if !skipped.isEmpty { out += "\nnot tensors, ignored:\n" }
    for object in skipped {
      out += "  \(object.name.abbreviated().escapingControls): \(object.reason.escapingControls)\n"
    }
    return out
  }
}

extension StoredTensor.Storage {
  /// `contiguous`, `chunked [100, 64], shuffle, gzip 6`.
  fileprivate var text: String {
    switch self {
    case .contiguous: "contiguous"
    case .compact: "compact"
    case .unallocated: "unallocated"
    case .chunked(let chunks):
      (["chunked \(chunks.shape)"] + chunks.filters.map(\.text)).joined(separator: ", ")
    }
  }
}

extension StoredTensor.Filter {
  fileprivate var text: String {
    switch self {
    case .deflate(let level): "gzip \(level)"
    case .shuffle: "shuffle"
    case .fletcher32: "fletcher32"
    case .szip: "szip"
    case .other(let number): "filter \(number)"
    }
  }
}
