import TensorCore

/// A file of named tensors, open for reading. Implementations may be used from several threads.
public protocol Checkpoint: AnyObject, Sendable {
  /// The path it was opened with.
  var path: String { get }

  /// The format of the files; nil for tensors in memory.
  var format: CheckpointFormat? { get }

  /// The facts that the files state about themselves: the metadata of safetensors, the texts among
  /// the attributes of an HDF5 file's root.
  var metadata: [String: String] { get }

  /// The files that hold the tensors: `path` itself, or the parts that it lists.
  var files: [String] { get }

  /// The tensors, in ascending order of their names, each once: of several names for one object
  /// the first in this order counts.
  var tensors: [StoredTensor] { get }

  /// What is in the file and no tensor, and why: what operations neither see nor change.
  var skipped: [SkippedObject] { get }

  /// What the files hold beside tensors, each with a hash of it, so that two checkpoints of one
  /// format can be compared in full: what is skipped, attributes, metadata, a folder's other files.
  ///
  /// - Parameter withWeights: whether weights are among it, which may be large: tensors of types that
  ///   diffkit does not have, files of other sets of weights.
  /// - Complexity: O(bytes of all that).
  func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent]

  /// Fills `buffer` with the tensor's little-endian bytes from `offset` (in bytes, a multiple of
  /// the element width, as is the buffer's size) on.
  ///
  /// - Complexity: O(`buffer.count`); for chunked storage, plus the rest of the chunks touched.
  func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError)

  /// What a copy of this checkpoint with such changes holds as it was, though it may not fit them: a
  /// line each, for people.
  func notes(onChanging changes: [TableChange]) throws(DiffError) -> [String]

  /// What this checkpoint has beside its tensors and a copy of it does not get: a line each, for
  /// people.
  func notesOnCopying() throws(DiffError) -> [String]

  /// Starts a new file at `path` that is this one with changes; see `CheckpointOutput`.
  ///
  /// - Parameters:
  ///   - rewriting: names of tensors that the caller writes from the first byte to the last:
  ///     contiguous ones are not copied, but read as zeros until they are written.
  ///   - changing: all that `insert`, `delete` and `reshape` will be called for. A format whose
  ///     table stands before the elements has to know.
  ///   - overwriting: whether an existing file may be replaced.
  func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput

  /// Starts to change the checkpoint's own files, behind a redo journal: whatever stops that, the
  /// files are the old or the new ones, or are refused by whoever opens them until `recover` has
  /// made them the new ones. Only elements can be written, of tensors in one piece or in chunks that
  /// pass no filters.
  ///
  /// - Throws: `locked` if anybody else uses them, `unsupported` for what has no files of its own.
  func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput
}

extension Checkpoint {
  /// The one file.
  public var files: [String] { [path] }

  /// An output whose table stays as it is.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    try makeOutput(at: path, rewriting: rewriting, changing: [], overwriting: overwriting)
  }

  /// Nothing to be changed.
  public func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "is not changed in place", path: path)
  }

  /// Nothing.
  public func notes(onChanging changes: [TableChange]) throws(DiffError) -> [String] { [] }

  /// Nothing.
  public func notesOnCopying() throws(DiffError) -> [String] { [] }

  /// Nothing.
  public func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent] { [] }

  /// All of it.
  public func otherContents() throws(DiffError) -> [OtherContent] {
    try otherContents(withWeights: true)
  }

  /// Nothing.
  public var skipped: [SkippedObject] { [] }
}
