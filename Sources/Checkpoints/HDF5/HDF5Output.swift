import Kernels
import Platform
import SystemSupport
import TensorCore

/// An HDF5 file in the making. Elements of contiguous tensors and of chunks that are not filtered
/// are written past libhdf5; filtered chunks are packed here and put in their place by it, like
/// everything else.
final class HDF5Output: CheckpointOutput, @unchecked Sendable {
  private let output: OutputFile
  private let hdf5: HDF5Client
  private let chunks: ChunkWriter?
  private let source: HDF5Checkpoint?

  /// Begins with a copy of `source`, but for some `ranges`.
  init(
    _ path: String, copying checkpoint: HDF5Checkpoint, except ranges: [Range<UInt64>],
    overwriting: Bool
  ) throws(DiffError) {
    let source = checkpoint.file
    self.source = checkpoint
    // What its library has unpacked to be looked at is not needed any more, and may be large.
    checkpoint.rest()
    output = try OutputFile(path, overwriting: overwriting, permissionsOf: source)
    // The library opens the file anew and must be allowed to write until the end.
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

  /// Begins with an empty file, with facts as attributes of its root group.
  init(
    creating path: String, metadata: [String: String], hdf5 host: HDF5Host, overwriting: Bool
  ) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting)
    hdf5 = HDF5Client(host, output.file, .creating)
    chunks = nil
    source = nil
    try locating(nil) { () throws(DiffError) in
      // Opened even without facts: a file without tensors is an HDF5 file too.
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
        // What the base is, not what becomes of it.
        try tensor.checkLossless(in: source?.path)
        if try chunks?.write(bytes, to: tensor, at: offset) == true { return }
        return try hdf5.write(bytes, to: tensor, at: offset)
      }
      // The library may hold bytes around its objects, and must not write them back over these.
      try hdf5.close()
      guard tensor.isBigEndian else { return try output.file.stream(bytes, at: start + offset) }
      var swapped = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
      var span = swapped.mutableSpan
      Kernels.swapBytes(&span, width: tensor.type.byteOrderWidth)
      try output.file.stream(swapped.span, at: start + offset)
    }
  }

  /// A tensor in one chunk that libhdf5 has to unpack: it is unpacked to be written in any case, and
  /// once suffices.
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
      // Once closed, the library has forgotten the freed space, which holds old bytes: what is
      // allocated from now on is new.
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
      // To close may mean to pack a large chunk, for which memory is needed that the source's
      // library may hold for its own.
      source?.rest()
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
  /// Refuses filters that may keep other elements than were written, as scale-offset does: what
  /// was verified would not be what the file holds.
  fileprivate func checkLossless(in path: String?) throws(DiffError) {
    guard case .chunked(let chunks) = storage else { return }
    for case .other(let number) in chunks.filters {
      throw DiffError(
        .unsupportedCheckpoint,
        "its chunks pass filter number \(number), which may not keep every bit; rewrite the file "
          + "without it, as by h5repack -f NONE", path: path)
    }
  }
}
