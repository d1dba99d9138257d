import TensorCore

/// A tensor as a checkpoint stores it: a row of the checkpoint's table.
public struct StoredTensor: Sendable, Hashable {
  /// The path inside the file, without a leading separator.
  public var name: TensorName
  /// Other names of the same object (hard links), sorted.
  public var aliases: [TensorName]
  /// The element type.
  public var type: ElementType
  /// The extents, row-major.
  public var shape: Shape
  /// Whether the file holds its elements in big-endian order.
  public var isBigEndian: Bool
  /// Where the bytes are.
  public var storage: Storage
  /// The bits of what is not stored anywhere: elements of unallocated storage, missing chunks.
  public var fill: UInt64
  /// What the file calls the layer that it belongs to, where the name does not say.
  public var label: String?
  /// In which of the checkpoint's files.
  public var file: Int

  /// A row of a table.
  public init(
    name: TensorName, aliases: [TensorName] = [], type: ElementType, shape: Shape,
    isBigEndian: Bool = false, storage: Storage, fill: UInt64 = 0, label: String? = nil,
    file: Int = 0
  ) {
    self.name = name
    self.aliases = aliases
    self.type = type
    self.shape = shape
    self.isBigEndian = isBigEndian
    self.storage = storage
    self.fill = fill
    self.label = label
    self.file = file
  }

  /// Bytes of all elements.
  public var byteCount: UInt64 { shape.count * UInt64(type.width) }

  /// How the bytes of a tensor lie in its file.
  public enum Storage: Sendable, Hashable {
    /// In one piece from a file offset on.
    case contiguous(offset: UInt64)
    /// Inside the object's header.
    case compact
    /// In chunks, filtered or not.
    case chunked(Chunks)
    /// Nowhere yet: every element reads as the fill value.
    case unallocated
  }

  /// Chunked storage.
  public struct Chunks: Sendable, Hashable {
    /// The extents of a chunk.
    public var shape: Shape
    /// The filters in the order of writing.
    public var filters: [Filter]
    /// Whether chunks that the edge of the tensor cuts pass the filters as well.
    public var filtersEdges: Bool
    /// The chunks that exist, in row-major order of their place.
    public var chunks: [Chunk]

    package init(shape: Shape, filters: [Filter], filtersEdges: Bool = true, chunks: [Chunk]) {
      self.shape = shape
      self.filters = filters
      self.filtersEdges = filtersEdges
      self.chunks = chunks
    }
  }

  /// A stored chunk.
  public struct Chunk: Sendable, Hashable {
    /// The row-major index of the chunk in the grid of chunks.
    public var index: UInt64
    /// Where its stored bytes begin in the file, and how many they are.
    public var offset, size: UInt64
    /// Filters that were skipped for this chunk, a bit each.
    public var filterMask: UInt32

    package init(index: UInt64, offset: UInt64, size: UInt64, filterMask: UInt32) {
      self.index = index
      self.offset = offset
      self.size = size
      self.filterMask = filterMask
    }
  }

  /// A filter of chunked storage.
  public enum Filter: Sendable, Hashable {
    case deflate(level: Int)
    case shuffle
    case fletcher32
    case szip
    /// Any other, by HDF5's number.
    case other(Int)
  }
}
