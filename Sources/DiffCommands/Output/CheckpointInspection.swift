import Checkpoints
import DiffOperations
import SystemSupport
import TensorCore

/// What `inspect` shows of a checkpoint.
struct CheckpointInspection: CommandOutput {
  struct Tensor: Encodable {
    let name, type, layout: String
    let shape: [UInt64]
    let bytes: UInt64
    let bigEndian: Bool
    let aliases: [String]
    /// What the file calls the layer that the tensor belongs to, where the name does not say.
    let label: String?
    let fingerprint: String?
  }

  struct Skipped: Encodable {
    let name, reason: String

    init(_ object: SkippedObject) {
      name = object.name.description
      reason = object.reason + (object.remedy.map { " (\($0.commandLine))" } ?? "")
    }
  }

  let path, format: String
  let files: [String]
  let size, elements: UInt64
  let tensors: [Tensor]
  let skipped: [Skipped]

  init(_ checkpoint: any Checkpoint, hashing: Bool) throws(DiffError) {
    path = checkpoint.path
    format = checkpoint.format?.rawValue ?? "memory"
    files = checkpoint.files
    size = try checkpoint.files.map { path throws(DiffError) in try File(path).size }.clampedSum
    elements = checkpoint.tensors.map(\.shape.count).clampedSum
    tensors = try checkpoint.tensors.map { tensor throws(DiffError) in
      Tensor(
        name: "\(tensor.name)", type: tensor.type.name, layout: tensor.storage.text,
        shape: tensor.shape.extents, bytes: tensor.byteCount, bigEndian: tensor.isBigEndian,
        aliases: tensor.aliases.map(\.description), label: tensor.label,
        fingerprint: hashing ? try checkpoint.fingerprint(of: tensor).description : nil)
    }
    skipped = checkpoint.skipped.map(Skipped.init)
  }

  var text: String {
    var pairs = [("file", path), ("format", format), ("size", size.bytes)]
    if files.count > 1 { pairs.append(("parts", "\(files.count)")) }
    pairs += [("tensors", "\(tensors.count)"), ("elements", elements.grouped)]
    let isHashed = tensors.contains { $0.fingerprint != nil }
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
        ] + (tensor.fingerprint.map { [$0] } ?? []))
    }
    var out = facts(pairs) + "\n" + table.text
    if !skipped.isEmpty { out += "\nno tensors, left alone:\n" }
    for object in skipped {
      out += "  \(object.name.escapingControls): \(object.reason.escapingControls)\n"
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
