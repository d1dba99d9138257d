import Algorithms
import Kernels
import SystemSupport
import TensorCore

/// An HDF5 file as a checkpoint: every numeric dataset that is reachable by hard links is a tensor.
///
/// Soft and external links, external storage and virtual datasets are not followed; outputs keep
/// them unchanged.
public final class HDF5Checkpoint: Checkpoint {
  /// The path it was opened with.
  public let path: String
  /// The HDF5 format.
  public let format: CheckpointFormat? = .hdf5
  /// The tensors, ascending by name.
  public let tensors: [StoredTensor]
  /// The objects that are not tensors, with reasons: links that are not followed, unsupported
  /// datatypes.
  public let skipped: [SkippedObject]
  /// The text attributes of the root group.
  public let metadata: [String: String]
  /// The errors of tensors that cannot be read and are left out.
  public let damaged: [DiffError]

  let host: HDF5Host
  let file: File
  private let hdf5: HDF5Client
  private let chunks: ChunkReader

  /// Opens a file and reads its table of tensors.
  ///
  /// - Parameters:
  ///   - path: the path of the file.
  ///   - host: the host of libhdf5.
  ///   - leavingOutDamaged: whether a file with tensors that cannot be read is opened without them.
  /// - Throws: `io` if it cannot be read or the helper is missing; `notACheckpoint` if libhdf5 does
  ///   not open it; `malformed` or `unsupportedCheckpoint` if its structure is damaged.
  /// - Complexity: O(n log n) in objects and chunks.
  public init(
    _ path: String, hdf5 host: HDF5Host = .helper, leavingOutDamaged: Bool = false
  ) throws(DiffError) {
    self.path = path
    self.host = host
    file = try File(ofCheckpoint: path)
    hdf5 = HDF5Client(host, file, .reading)
    chunks = ChunkReader(file)
    let table = try hdf5.table()
    if !leavingOutDamaged, let error = table.damaged.first { throw error.at(path: path) }
    damaged = table.damaged
    tensors = table.tensors
    skipped = table.skipped
    metadata = table.metadata
    // Usually the library is not needed again.
    if !tensors.contains(where: \.needsLibrary) { hdf5.endSession() }
  }

  /// Returns attributes, links, empty groups, and datasets that are not tensors.
  public func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent] {
    let contents = try hdf5.contents()
    if !tensors.contains(where: \.needsLibrary) { hdf5.endSession() }
    // Some objects are skipped for reasons that the library does not report.
    let names = Set(contents.map(\.name))
    return contents
      + skipped.filter { !names.contains($0.name) }.map { OtherContent($0.name, $0.reason, nil) }
  }

  /// Fills `buffer` with the tensor's little-endian bytes, starting at `offset`. Threads that read
  /// at the same time share the unpacking of chunks; compact tensors, and those with chunks of more
  /// than 16 MiB or with unusual filters, are read by libhdf5, one call at a time.
  ///
  /// - Throws: `unsupportedCheckpoint` if libhdf5 cannot unpack the tensor; `malformed` or
  ///   `checksum` for a damaged chunk; `truncated` or `io`.
  /// - Complexity: O(`buffer.count`); for chunked tensors, plus the rest of the chunks touched.
  public func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    guard buffer.count > 0 else { return }
    tensor.check(offset, buffer.count)
    do throws(DiffError) {
      switch tensor.storage {
      case .contiguous(let start):
        try file.read(at: start + offset, into: &buffer)
        if tensor.isBigEndian { Kernels.swapBytes(&buffer, width: tensor.type.byteOrderWidth) }
      case .unallocated: Kernels.fill(&buffer, tensor.fill, width: tensor.type.width)
      case .compact, .chunked:
        guard let codec = ChunkCodec(tensor) else {
          return try hdf5.read(tensor, at: offset, into: &buffer)
        }
        try chunks.read(tensor, codec, at: offset, into: &buffer)
      }
    } catch { throw error.at(tensor: tensor.name) }
  }

  /// Frees the library's resources until it is needed again.
  func endSession() { hdf5.endSession() }

  /// Returns whether this is a tensor of the checkpoint. O(log n).
  func has(_ tensor: StoredTensor) -> Bool {
    let first = tensors.partitioningIndex { $0.name >= tensor.name }
    return first < tensors.count && tensors[first] == tensor
  }

  /// Starts a copy of this file at `path`, without the bytes of contiguous tensors that the caller
  /// rewrites.
  ///
  /// - Throws: `exists` or `io`.
  /// - Complexity: O(bytes of the file); much less where the file system shares blocks.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    let rewritten = tensors.filter { rewriting.contains($0.name) }
    return try HDF5Output(
      path, copying: self, except: rewritten.compactMap(\.contiguousRange),
      overwriting: overwriting)
  }

  /// Starts to change this file itself.
  public func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput {
    try PatchOutput(path, [file])
  }
}

extension StoredTensor {
  /// The byte range in the file, if storage is contiguous.
  fileprivate var contiguousRange: Range<UInt64>? {
    guard case .contiguous(let offset) = storage else { return nil }
    return offset..<offset + byteCount
  }

  /// True if libhdf5 must read its elements.
  var needsLibrary: Bool {
    switch storage {
    case .contiguous, .unallocated: false
    case .compact: true
    case .chunked: ChunkCodec(self) == nil
    }
  }

  /// Traps if the range is not whole elements inside the tensor.
  func check(_ offset: UInt64, _ count: Int) {
    let width = UInt64(type.width)
    precondition(offset % width == 0 && UInt64(count) % width == 0)
    precondition(offset <= byteCount && UInt64(count) <= byteCount - offset)
  }
}
