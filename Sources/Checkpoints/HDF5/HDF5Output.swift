import Kernels
import Platform
import SystemSupport
import TensorCore

/// An HDF5 file that is being written. Elements of contiguous tensors and unfiltered chunks are
/// written directly; filtered chunks are packed here and written by libhdf5, like everything else.
final class HDF5Output: CheckpointOutput, @unchecked Sendable {
  private let output: OutputFile
  private let hdf5: HDF5Client
  private let chunks: ChunkWriter?
  private let source: HDF5Checkpoint?

  /// Starts with a copy of a checkpoint, except for `ranges` of its bytes.
  init(
    _ path: String, copying checkpoint: HDF5Checkpoint, except ranges: [Range<UInt64>],
    overwriting: Bool
  ) throws(DiffError) {
    let source = checkpoint.file
    self.source = checkpoint
    // The library's caches for reading are no longer needed and may be large.
    checkpoint.endSession()
    output = try OutputFile(path, overwriting: overwriting, permissionsOf: source)
    // The library opens the file again and needs permission to write until the end.
    fchmod(output.file.descriptor, output.permissions | S_IWUSR)
    hdf5 = HDF5Client(checkpoint.host, output.file, .changing)
    chunks = ChunkWriter(checkpoint, output.file, hdf5)
    let size = try source.size
    try output.file.resize(to: size)
    var offset: UInt64 = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if offset < range.lowerBound {
        try source.copy(offset..<range.lowerBound, to: output.file)
      }
      offset = max(offset, range.upperBound)
    }
    if offset < size { try source.copy(offset..<size, to: output.file) }
  }

  /// Starts with an empty file, with the metadata as attributes of its root group.
  init(
    creating path: String, metadata: [String: String], hdf5 host: HDF5Host, overwriting: Bool
  ) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting)
    hdf5 = HDF5Client(host, output.file, .creating)
    chunks = nil
    source = nil
    try locating(nil) { () throws(DiffError) in
      // Opened even without metadata: a file without tensors is an HDF5 file too.
      try hdf5.open()
      for (name, text) in metadata.sorted(by: { $0.key < $1.key }) {
        try hdf5.setAttribute(name, AttributeValue([text], isList: false))
      }
    }
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) {
    guard bytes.count > 0 else { return }
    tensor.check(offset, bytes.count)
    try locating(tensor.name) { () throws(DiffError) in
      guard case .contiguous(let start) = tensor.storage else {
        // The error is located in the source, not in the output.
        try tensor.checkLossless(in: source?.path)
        if try chunks?.write(bytes, to: tensor, at: offset) == true { return }
        return try hdf5.write(bytes, to: tensor, at: offset)
      }
      // The library may cache bytes around its objects, and must not write them over these.
      try hdf5.close()
      guard tensor.isBigEndian else { return try output.file.stream(bytes, at: start + offset) }
      var swapped = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
      var span = swapped.mutableSpan
      Kernels.swapBytes(&span, width: tensor.type.byteOrderWidth)
      try output.file.stream(swapped.span, at: start + offset)
    }
  }

  /// Reads a tensor in a single chunk that libhdf5 must unpack: the write unpacks it in any case,
  /// so that it is unpacked once.
  func readUnwritten(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) -> Bool {
    guard tensor.needsLibrary, case .chunked(let chunks) = tensor.storage,
      chunks.chunks.count == 1, source?.has(tensor) == true
    else { return false }
    do throws(DiffError) { try hdf5.read(tensor, at: offset, into: &buffer) } catch {
      throw error.at(path: output.destination, tensor: tensor.name)
    }
    return true
  }

  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor {
    try locating(name) { () throws(DiffError) in try hdf5.insert([(name, type, shape)])[0] }
  }

  func insert(
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)]
  ) throws(DiffError) -> [StoredTensor] {
    try locating(nil) { () throws(DiffError) in try hdf5.insert(tensors) }
  }

  func reshape(_ tensor: StoredTensor, to shape: Shape) throws(DiffError) -> StoredTensor {
    try locating(tensor.name) { () throws(DiffError) in
      try chunks?.flush()
      let reshaped = try hdf5.reshape(tensor, to: shape)
      try hdf5.close()
      return reshaped
    }
  }

  func delete(_ tensor: StoredTensor) throws(DiffError) {
    try locating(tensor.name) { () throws(DiffError) in
      try chunks?.flush()
      try hdf5.delete(tensor)
      // When the file is closed, the library discards its list of freed space, which holds old
      // bytes: later allocations are new space.
      try hdf5.close()
    }
  }

  var holdsAttributes: Bool { true }

  func setAttribute(_ change: AttributeChange) throws(DiffError) {
    try locating(nil) { () throws(DiffError) in
      try hdf5.setAttribute(of: change.object, change.name, change.new)
    }
  }

  func finish(_ tensor: StoredTensor, upTo offset: UInt64) throws(DiffError) {
    try locating(tensor.name) { () throws(DiffError) in try chunks?.flush(upTo: offset) }
  }

  func commit() throws(DiffError) {
    try locating(nil) { () throws(DiffError) in
      try chunks?.flush()
      // Closing may pack a large chunk, which needs memory that the source's session may hold.
      source?.endSession()
      try hdf5.close()
    }
    fchmod(output.file.descriptor, output.permissions)
    try output.commit()
  }

  private func locating<Result>(
    _ tensor: TensorName?, _ body: () throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    do throws(DiffError) { return try body() } catch {
      throw error.at(path: output.destination, tensor: tensor)
    }
  }
}

extension StoredTensor {
  /// Refuses filters that may store other elements than were written, as scale-offset does: the
  /// file would not hold the verified elements.
  fileprivate func checkLossless(in path: String?) throws(DiffError) {
    guard case .chunked(let chunks) = storage else { return }
    for case .other(let number) in chunks.filters {
      throw DiffError(
        .unsupportedCheckpoint,
        "its chunks use filter \(number), which may be lossy; rewrite the file "
          + "without it, for example with h5repack -f NONE", path: path)
    }
  }
}
