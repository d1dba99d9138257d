import TensorCore

/// A file of named tensors, open for reading. Implementations may be used from several threads.
public protocol Checkpoint: AnyObject, Sendable {
  /// The path it was opened with.
  var path: String { get }

  /// The files that hold the tensors: `path` itself, or the parts that it lists.
  var files: [String] { get }

  /// The tensors, in ascending order of the UTF-8 bytes of their names, each once: of several
  /// names for one object the first in this order counts.
  var tensors: [StoredTensor] { get }

  /// What is in the file and no tensor, and why: what operations neither see nor change.
  var skipped: [SkippedObject] { get }

  /// Fills `buffer` with the tensor's little-endian bytes from `offset` (in bytes, a multiple of
  /// the element width, as is the buffer's size) on.
  ///
  /// - Complexity: O(`buffer.count`); for chunked storage, plus the rest of the chunks touched.
  func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError)

  /// Starts a new file at `path` that is this one with changes; see `CheckpointOutput`.
  ///
  /// - Parameters:
  ///   - rewriting: names of tensors that the caller writes from the first byte to the last:
  ///     contiguous ones are not copied, but read as zeros until they are written.
  ///   - changing: all that `insert`, `delete` and `reshape` will be called for. A format whose
  ///     table stands before the elements has to know.
  ///   - overwriting: whether an existing file may be replaced.
  func makeOutput(
    at path: String, rewriting: Set<String>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput

  /// Starts to change the checkpoint's own files, behind an undo journal: whatever stops that, the
  /// files are the old or the new ones, or are refused by whoever opens them until `recover` has
  /// made them the old ones. Only elements can be written, of tensors in one piece or in chunks that
  /// pass no filters.
  ///
  /// - Throws: `locked` if anybody else uses them, `unsupported` for what has no files of its own.
  func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput
}

/// A change to the table of a checkpoint.
public enum TableChange: Sendable, Hashable {
  /// A new tensor.
  case insert(String, ElementType, Shape)
  /// The end of the tensor of this name.
  case delete(String)
  /// Another shape for the tensor of this name.
  case reshape(String, Shape)
}

extension Checkpoint {
  /// The one file.
  public var files: [String] { [path] }

  /// An output whose table stays as it is.
  public func makeOutput(
    at path: String, rewriting: Set<String>, overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    try makeOutput(at: path, rewriting: rewriting, changing: [], overwriting: overwriting)
  }

  /// Nothing to be changed.
  public func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "is not changed in place", path: path)
  }

  /// Nothing.
  public var skipped: [SkippedObject] { [] }
}

/// A checkpoint in the making: a copy of another one. What the caller does not touch is
/// bit-identical in the copy. Nothing appears at the destination before `commit`, and nothing
/// ever if the object goes away without it.
public protocol CheckpointOutput: AnyObject, Sendable {
  /// Overwrites bytes of a tensor that the source has, given little-endian. Different ranges may
  /// be written from several threads.
  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError)

  /// Adds a tensor, with the groups that its name needs. Its elements are undefined until the
  /// caller has written all of them.
  ///
  /// - Throws: `unsupported` if the format cannot hold the name or the type, `mismatch` if
  ///   something of that name is there.
  func insert(
    _ name: String, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor

  /// Removes a tensor and all its names; space inside the file need not be won back.
  func delete(_ tensor: StoredTensor) throws(DiffError)

  /// Gives a tensor another shape and keeps what else belongs to it. Its elements are undefined
  /// until the caller has written all of them.
  ///
  /// - Throws: `unsupported` if the format cannot hold the shape.
  func reshape(_ tensor: StoredTensor, to shape: Shape) throws(DiffError) -> StoredTensor

  /// Says that everything of a tensor before `offset` that will be written has been written: what
  /// must be packed can be, on all cores. Called while no other thread writes; not needed.
  func finish(_ tensor: StoredTensor, upTo offset: UInt64) throws(DiffError)

  /// Makes the file durable and gives it its name.
  func commit() throws(DiffError)
}

extension CheckpointOutput {
  /// Nothing, for formats that pack nothing.
  public func finish(_ tensor: StoredTensor, upTo offset: UInt64) throws(DiffError) {}

  /// For formats in which nothing but names, types and elements belongs to a tensor.
  public func reshape(
    _ tensor: StoredTensor, to shape: Shape
  ) throws(DiffError) -> StoredTensor {
    try delete(tensor)
    return try insert(tensor.name, tensor.type, shape)
  }
}

/// A tensor as a checkpoint stores it: a row of the checkpoint's table.
public struct StoredTensor: Sendable, Hashable {
  /// The path inside the file, without a leading separator.
  public var name: String
  /// Other names of the same object (hard links), sorted.
  public var aliases: [String]
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
    name: String, aliases: [String] = [], type: ElementType, shape: Shape,
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
