import CHDF5
import Checkpoints
import TensorCore

/// The only chunk of a dataset, unpacked for changes. With libhdf5 it would take three times its
/// size in memory: the library copies a chunk that it packs when a dataset is closed.
final class HDF5WholeChunk {
  private let tensor: StoredTensor
  private let codec: ChunkCodec
  private let chunk: StoredTensor.Chunk
  /// The unpacked chunk; nil until it is needed.
  private var bytes: [UInt8]?
  private var isChanged = false

  /// Nil if the tensor is not a single chunk of its shape, or libhdf5 must unpack it.
  init?(_ tensor: StoredTensor) {
    guard let only = tensor.onlyChunk, only.codec.isFiltered else { return nil }
    self.tensor = tensor
    (chunk, codec) = only
  }

  func read(
    at offset: UInt64, into buffer: inout MutableSpan<UInt8>, of dataset: hid_t
  ) throws(DiffError) {
    let bytes = try unpacked(dataset)
    buffer.copy(bytes.span.extracting(Int(offset)..<Int(offset) + buffer.count))
  }

  func write(_ part: Span<UInt8>, at offset: UInt64, of dataset: hid_t) throws(DiffError) {
    var bytes = try unpacked(dataset)
    self.bytes = nil
    var span = bytes.mutableSpan
    span.copy(part, at: Int(offset))
    self.bytes = bytes
    isChanged = true
  }

  /// Packs and writes the chunk if it was changed.
  func store(in dataset: hid_t) throws(DiffError) {
    guard isChanged, let unpacked = bytes else { return }
    bytes = nil
    isChanged = false
    let packed = codec.pack(consume unpacked)
    try unsafe H5Dwrite_chunk(dataset, dk_H5P_DEFAULT, 0, origin, packed.count, packed)
      .orThrow("a chunk cannot be written")
  }

  private func unpacked(_ dataset: hid_t) throws(DiffError) -> [UInt8] {
    if let bytes { return bytes }
    var stored = [UInt8](repeating: 0, count: Int(chunk.size))
    var mask: UInt32 = 0
    try unsafe H5Dread_chunk(dataset, dk_H5P_DEFAULT, origin, &mask, &stored)
      .orThrow("cannot be read")
    let unpacked = try codec.unpack(consume stored, filterMask: mask)
    bytes = unpacked
    return unpacked
  }

  private var origin: [hsize_t] { tensor.shape.extents.map { _ in 0 } }
}

extension StoredTensor {
  /// The chunk of a tensor that is a single chunk of its shape, with all its filters, and its codec;
  /// nil if it is not, or libhdf5 must unpack it.
  var onlyChunk: (chunk: Chunk, codec: ChunkCodec)? {
    guard case .chunked(let chunks) = storage, chunks.chunks.count == 1, chunks.shape == shape,
      chunks.chunks[0].filterMask == 0, let codec = ChunkCodec(self, largest: .max)
    else { return nil }
    return (chunks.chunks[0], codec)
  }
}
