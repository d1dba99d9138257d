import CHDF5
import Checkpoints
import SystemSupport
import TensorCore

/// The one chunk of a dataset, unpacked to be read. By libhdf5 it would take twice its size: the
/// library reads the whole stored chunk before it unpacks it.
final class HDF5StreamedChunk {
  private let codec: ChunkCodec
  private let chunk: StoredTensor.Chunk
  private let file: File
  /// Nil as long as nobody needs it.
  private var bytes: [UInt8]?

  /// Nil if the tensor is not in one chunk of its own shape, or libhdf5 has to unpack it.
  init?(_ tensor: StoredTensor, in file: File) {
    guard let only = tensor.onlyChunk else { return nil }
    self.file = file
    (chunk, codec) = only
  }

  /// Reads little-endian elements.
  ///
  /// - Returns: false if the chunk passed filters that are not unpacked here.
  /// - Throws: `malformed` if it does not unpack to a chunk, `truncated` or `io`.
  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) -> Bool {
    if bytes == nil {
      bytes = try codec.unpackStream(size: chunk.size) { range throws(DiffError) in
        try file.bytes(at: chunk.offset + range.lowerBound, count: range.count)
      }
    }
    guard let bytes else { return false }
    buffer.copy(codec.elements(Int(offset)..<Int(offset) + buffer.count, of: bytes).span)
    return true
  }
}
