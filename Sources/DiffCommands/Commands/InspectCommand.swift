import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit inspect`.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show the tensors of a diff or a checkpoint: types, shapes and storage.",
    discussion: """
      Only the index of a diff or the table of a checkpoint is read, unless --hash is given. '-' is \
      a diff on standard input. A diff on a server (http, https, s3) is not fetched as a whole.

        diffkit inspect task.diff
        diffkit inspect base.h5 --hash
      """)

  @Argument(help: "A diff or a checkpoint.", completion: .file()) var file: String

  @Flag(help: "For a checkpoint: compute the fingerprint of every tensor.")
  var hash = false

  @OptionGroup var network: NetworkOptions
  @OptionGroup var json: JSONOption

  func run() throws {
    if try isDiff(file) {
      guard !hash else {
        throw DiffError(
          .usage, "is a diff, which stores its fingerprints; --json prints them", path: file)
      }
      return try DiffInspection(openDiff(file, network.remote, fetchingAll: false))
        .print(json: json.json)
    }
    let checkpoint = try CheckpointFile.open(file, leavingOutDamaged: true)
    let inspection = try CheckpointInspection(checkpoint, hashing: hash)
    try inspection.print(json: json.json)
    if !inspection.unread.isEmpty { throw ExitStatus.trouble }
  }
}

/// The output of `inspect` for a diff.
private struct DiffInspection: CommandOutput {
  struct Extension: Encodable {
    let identifier: UInt64
    let bytes: Int
  }

  struct Tensor: Encodable {
    let name, operation, type: String
    let shape: [UInt64]
    let newShape: [UInt64]?
    let valueType: String?
    let scale: Int?
    let changes, storedBytes: UInt64
    let pages: Int
    let encodings: [String]
    let base, result: String?
  }

  let path, version, identity: String
  let size, indexSize, changes: UInt64
  let metadata: [String: String]
  /// The fingerprints of the whole base and of the whole result.
  let base, result: String?
  /// The extensions of the diff: identifier and size.
  let extensions: [Extension]
  let tensors: [Tensor]

  init(_ diff: DiffReader) throws {
    path = diff.path ?? ""
    version = "\(diff.major).\(diff.minor)"
    identity = diff.identity.description
    size = diff.size
    indexSize = diff.indexSize
    metadata = diff.metadata
    base = diff.checkpoints?.base.description
    result = diff.checkpoints?.result.description
    extensions = diff.extensions.map {
      Extension(identifier: $0.identifier, bytes: $0.bytes.count)
    }
    tensors = try diff.map { entry throws(DiffError) in try Tensor(entry, diff) }
    changes = tensors.reduce(0) { $0 + $1.changes }
  }

  private static let known = [
    DiffExtension.checkpointsIdentifier: "checkpoints",
    DiffExtension.attributesIdentifier: "attributes",
  ]

  var text: String {
    var pairs = [
      ("file", path), ("format", version), ("size", "\(size.bytes), index \(indexSize.bytes)"),
      ("identity", identity), ("tensors", "\(tensors.count)"), ("changes", changes.grouped),
    ]
    if let base, let result { pairs.append(("checkpoints", "\(base) → \(result)")) }
    for item in extensions {
      let known = Self.known[item.identifier].map { " (\($0))" } ?? ""
      pairs.append(("extension", "\(item.identifier)\(known), \(item.bytes) B"))
    }
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { pairs.append((key, value)) }
    var table = TextTable(
      ["tensor", "operation", "type", "shape", "changes", "bytes", "encodings"],
      rightAligned: [4, 5], shrinking: [0, 6])
    for tensor in tensors {
      let scale = tensor.scale.map { " · 2^\($0)" } ?? ""
      let values = tensor.valueType.map { " \($0)\(scale)" } ?? ""
      let shape = "\(tensor.shape)" + (tensor.newShape.map { " → \($0)" } ?? "")
      table.add([
        tensor.name, tensor.operation + values, tensor.type, shape, tensor.changes.grouped,
        tensor.storedBytes.grouped, tensor.encodings.joined(separator: ", "),
      ])
    }
    return fieldLines(pairs) + "\n" + table.text
  }
}

extension DiffInspection.Tensor {
  fileprivate init(_ entry: DiffEntry, _ diff: DiffReader) throws(DiffError) {
    name = entry.name.description
    operation = entry.operation.name
    type = entry.type.name
    shape = entry.shape.extents
    if case .reshape(let new) = entry.operation { newShape = new.extents } else { newShape = nil }
    if case .add(let values, let scale) = entry.operation {
      valueType = values.elementType.name
      self.scale = scale
    } else {
      valueType = nil
      scale = nil
    }
    changes = entry.count
    storedBytes = entry.storedSize
    base = entry.base?.description
    result = entry.result?.description
    var encodings: Set<String> = []
    var pageCount = 0
    for stream in entry.operation.streams {
      pageCount += entry.pages[stream]?.count ?? 0
      for encoding in try diff.encodings(of: entry, stream) { encodings.insert(encoding) }
    }
    pages = pageCount
    self.encodings = encodings.sorted()
  }
}
