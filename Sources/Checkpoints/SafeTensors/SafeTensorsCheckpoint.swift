import TensorCore

/// A safetensors file as a checkpoint.
public final class SafeTensorsCheckpoint: Checkpoint {
  /// The path it was opened with.
  public let path: String
  /// The safetensors format.
  public let format: CheckpointFormat? = .safetensors
  /// The tensors, ascending by name.
  public let tensors: [StoredTensor]
  /// The tensors of unsupported types.
  public let skipped: [SkippedObject]
  private let part: SafeTensorsFile

  /// Opens a file and checks its header.
  ///
  /// - Throws: `io`; `malformed`, `truncated` or `limit` if the header breaks a rule.
  /// - Complexity: O(n log n) in the header's length.
  public init(_ path: String) throws(DiffError) {
    self.path = path
    part = try SafeTensorsFile(path)
    tensors = part.tensors(file: 0).sorted { $0.name < $1.name }
    skipped = part.skipped
  }

  /// The metadata of the file.
  public var metadata: [String: String] { part.header.metadataTexts }

  /// Returns the tensors of unsupported types and the entries of the metadata.
  public func otherContents(withWeights: Bool) throws(DiffError) -> [OtherContent] {
    try part.otherContents(withWeights: withWeights)
  }

  /// Fills `buffer` with the tensor's bytes, starting at `offset`. O(`buffer.count`), in parallel.
  public func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    try part.read(tensor, at: offset, into: &buffer)
  }

  /// Starts a copy of this file at `path`, without the bytes of rewritten tensors. O(bytes).
  public func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    try SafeTensorsOutput(
      path, copying: part, rewriting: rewriting, changing: changing, overwriting: overwriting)
  }

  /// Starts to change this file itself.
  public func makeInPlaceOutput() throws(DiffError) -> any CheckpointOutput {
    try PatchOutput(path, [part.file])
  }
}
