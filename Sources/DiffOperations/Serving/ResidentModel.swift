import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// A tensor in memory.
struct ResidentTensor: Sendable {
  let name: TensorName
  let type: ElementType
  let shape: Shape
  let bytes: ResidentBytes
}

/// A checkpoint held in memory, for an `Overlay` to patch.
public final class ResidentModel: Checkpoint {
  /// The path of the checkpoint.
  public let path: String
  /// The format of the checkpoint.
  public let format: CheckpointFormat?
  /// The metadata of the checkpoint.
  public let metadata: [String: String]
  /// The tensors, sorted by name.
  public let tensors: [StoredTensor]
  /// The tensors by all their names.
  let contents: NameTable<ResidentTensor>
  /// Held while the bytes or the attached diff are read or changed.
  let lock = ReadWriteLock()
  let served = Served()

  /// The attached diff; protected by `lock`.
  final class Served: @unchecked Sendable {
    var diff: PreparedDiff?
  }

  /// Reads all tensors of a checkpoint.
  ///
  /// - Parameters:
  ///   - checkpoint: the checkpoint to read.
  ///   - mapping: whether to map tensors that are contiguous in their file and in the machine's
  ///     byte order, instead of reading them. Mapped pages are shared with other processes until a
  ///     diff changes them; the files must not be changed while the model exists.
  /// - Throws: `io` or `unsupported` for a tensor larger than memory can address.
  /// - Complexity: O(bytes); O(tensors) if all are mapped.
  public init(_ checkpoint: any Checkpoint, mapping: Bool = false) throws(DiffError) {
    path = checkpoint.path
    format = checkpoint.format
    metadata = checkpoint.metadata
    tensors = checkpoint.tensors
    var contents: [(name: TensorName, value: ResidentTensor)] = []
    var files: [Int: File] = [:]
    for tensor in checkpoint.tensors {
      guard let count = Int(exactly: tensor.byteCount), count < 1 << 48 else {
        throw DiffError(.unsupported, "is larger than memory", path: path, tensor: tensor.name)
      }
      let bytes: ResidentBytes
      if mapping, count > 0, !tensor.isBigEndian, case .contiguous(let offset) = tensor.storage {
        let file: File
        if let open = files[tensor.file] {
          file = open
        } else {
          file = try File(checkpoint.files[tensor.file])
          files[tensor.file] = file
        }
        bytes = try ResidentBytes(mapping: file, at: offset, count: count)
      } else {
        bytes = ResidentBytes(count: count)
        try Self.fill(bytes, tensor, checkpoint)
      }
      let resident = ResidentTensor(
        name: tensor.name, type: tensor.type, shape: tensor.shape, bytes: bytes)
      contents += ([tensor.name] + tensor.aliases).map { ($0, resident) }
    }
    self.contents = NameTable(contents)
  }

  private static func fill(
    _ bytes: ResidentBytes, _ tensor: StoredTensor, _ checkpoint: any Checkpoint
  ) throws(DiffError) {
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      try parallelFor(window.count) { index throws(DiffError) in
        let block = window[index]
        let count = Int(block.upperBound - block.lowerBound)
        try bytes.change(at: Int(block.lowerBound), count: count) { span throws(DiffError) in
          try checkpoint.read(tensor, at: block.lowerBound, into: &span)
        }
      }
    }
  }

  /// Returns the bytes of one of the tensors.
  func bytes(of tensor: StoredTensor) -> ResidentBytes? { contents[tensor.name].first?.bytes }

  /// Fills `buffer` with the tensor's current bytes: those of the tuned model while an overlay has
  /// a diff attached. Must not be called during a switch.
  public func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard let bytes = bytes(of: tensor), offset <= UInt64(bytes.count),
      buffer.count <= bytes.count - Int(offset)
    else { throw DiffError(.truncated, "read past its end", path: path, tensor: tensor.name) }
    buffer.copy(bytes.span.extracting(Int(offset)..<Int(offset) + buffer.count))
  }

  /// - Throws: `unsupported`, always: a model in memory is not written.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "a model in memory cannot be written to files", path: path)
  }
}
