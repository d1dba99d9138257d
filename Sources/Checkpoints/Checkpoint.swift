import TensorCore

/// A file of named tensors, open for reading. Implementations may be used from several threads.
public protocol Checkpoint: AnyObject, Sendable {
  /// The path it was opened with.
  var path: String { get }

  /// The format of the files; nil for tensors in memory.
  var format: CheckpointFormat? { get }

  /// The metadata of the files: `__metadata__` in safetensors, the text attributes of the root
  /// group in HDF5.
  var metadata: [String: String] { get }

  /// The files that hold the tensors: `path` itself, or the parts that it lists.
  var files: [String] { get }

  /// The tensors, in ascending order of their names, each once: an object with several names
  /// appears under the first of them in this order.
  var tensors: [StoredTensor] { get }

  /// The objects of the file that are not tensors, with reasons. Operations neither read nor change
  /// them.
  var skipped: [SkippedObject] { get }

  /// The errors of tensors that cannot be read, if it was opened without them.
  var damaged: [DiffError] { get }

  /// Returns the contents of the files other than tensors, each with a hash, so that two
  /// checkpoints of one format can be compared in full: skipped objects, attributes, metadata, and
  /// other files of a folder.
  ///
  /// - Parameter withWeights: whether to include what may be large: tensors of unsupported types,
  ///   files of other sets of weights, hidden folders.
  /// - Complexity: O(bytes of these contents).
  func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent]

  /// Fills `buffer` with the tensor's little-endian bytes, starting at `offset` (in bytes). The
  /// offset and the buffer's size must be multiples of the element width.
  ///
  /// - Complexity: O(`buffer.count`); for chunked storage, plus the rest of the chunks touched.
  func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError)

  /// Returns notes about contents that a copy with these changes keeps although they may no longer
  /// fit: human-readable, one line each.
  func notes(onChanging changes: [TableChange]) throws(DiffError) -> [String]

  /// What this checkpoint has beside its tensors and a copy of it does not get: a line each, for
  /// people.
  func notesOnCopying() throws(DiffError) -> [String]

  /// Starts a new file at `path`: a copy of this one, to be changed; see `CheckpointOutput`.
  ///
  /// - Parameters:
  ///   - path: the path of the copy.
  ///   - rewriting: names of tensors that the caller writes completely: contiguous ones are not
  ///     copied and read as zeros until they are written.
  ///   - changing: all changes for which `insert`, `delete` and `reshape` will be called. Formats
  ///     whose table precedes the elements need them in advance.
  ///   - overwriting: whether an existing file may be replaced.
  func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput

  /// Starts to change the checkpoint's own files through a redo journal. If that is interrupted,
  /// the files are the old or the new ones, or cannot be opened until `recover` has made them the
  /// new ones. Only elements can be written, of tensors that are contiguous or in unfiltered
  /// chunks.
  ///
  /// - Throws: `locked` if the files are in use, `unsupported` for checkpoints without files.
  func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput

  /// Starts new files that replace those of the checkpoint itself, on which `makeInPlaceOutput` has
  /// taken locks.
  func makeReplacement(
    rewriting: Set<TensorName>
  ) throws(DiffError) -> any CheckpointOutput
}

extension Checkpoint {
  /// The single file at `path`.
  public var files: [String] { [path] }

  /// Starts a new file at `path` whose table stays as it is.
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    try makeOutput(at: path, rewriting: rewriting, changing: [], overwriting: overwriting)
  }

  /// Starts a new file at `path`.
  public func makeReplacement(
    rewriting: Set<TensorName>
  ) throws(DiffError) -> any CheckpointOutput {
    try makeOutput(at: path, rewriting: rewriting, overwriting: true)
  }

  /// Throws `unsupported`.
  public func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "is not changed in place", path: path)
  }

  /// Returns no notes.
  public func notes(onChanging changes: [TableChange]) throws(DiffError) -> [String] { [] }

  /// Nothing.
  public func notesOnCopying() throws(DiffError) -> [String] { [] }

  /// Returns no contents.
  public func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent] { [] }

  /// Returns all other contents, weights included.
  public func otherContents() throws(DiffError) -> [OtherContent] {
    try otherContents(withWeights: true)
  }

  /// No objects.
  public var skipped: [SkippedObject] { [] }

  /// No errors.
  public var damaged: [DiffError] { [] }
}
