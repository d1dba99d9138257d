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
  /// True if the file holds its elements in big-endian order.
  public var isBigEndian: Bool
  /// The layout of its bytes in the file.
  public var storage: Storage
  /// The bits of elements that are not stored: of unallocated storage and missing chunks.
  public var fill: UInt64
  /// The file's name for the tensor's layer, if `name` does not contain it.
  public var label: String?
  /// The index of its file in the checkpoint's `files`.
  public var file: Int

  /// Creates a row of a table.
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

  /// The number of bytes of all elements.
  public var byteCount: UInt64 { shape.count * UInt64(type.width) }

  /// The layout of a tensor's bytes in its file.
  public enum Storage: Sendable, Hashable {
    /// Contiguous, starting at a file offset.
    case contiguous(offset: UInt64)
    /// Inside the object's header.
    case compact
    /// In chunks, filtered or not.
    case chunked(Chunks)
    /// Not stored: every element reads as the fill value.
    case unallocated
  }

  /// Chunked storage.
  public struct Chunks: Sendable, Hashable {
    /// The extents of a chunk.
    public var shape: Shape
    /// The filters in the order of writing.
    public var filters: [Filter]
    /// True if chunks that extend beyond the tensor are filtered as well.
    public var filtersEdges: Bool
    /// The chunks that exist, ascending by index.
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
    /// The offset in the file and the number of its stored bytes.
    public var offset, size: UInt64
    /// A bit mask of the filters that were skipped for this chunk.
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
    /// Any other, by its HDF5 filter number.
    case other(Int)
  }
}
