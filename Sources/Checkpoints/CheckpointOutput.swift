import TensorCore

/// A checkpoint in the making: a copy of another one. What the caller does not touch is
/// bit-identical in the copy. Nothing appears at the destination before `commit`, and nothing
/// ever if the object goes away without it.
public protocol CheckpointOutput: AnyObject, Sendable {
  /// Overwrites bytes of a tensor that the source has, given little-endian. Different ranges may
  /// be written from several threads.
  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError)

  /// Overwrites bytes of a tensor in which single elements change: for an output that is the source
  /// itself and takes note of them. The others must be those that stand there.
  ///
  /// - Parameters:
  ///   - positions: the elements that may change, ascending, counted from the first of `bytes`.
  ///   - old: what they were.
  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64,
    changing positions: Span<UInt32>, from old: Span<UInt8>
  ) throws(DiffError)

  /// Fills `buffer` with bytes of a tensor that the source has and nobody has written yet, if the
  /// output can do that in less memory than the source; false if it cannot. To be asked instead of the
  /// source by who goes on to write what was read.
  func readUnwritten(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) -> Bool

  /// Adds a tensor, with the groups that its name needs. Its elements are undefined until the
  /// caller has written all of them.
  ///
  /// - Throws: `unsupported` if the format cannot hold the name or the type, `mismatch` if
  ///   something of that name is there.
  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor

  /// Adds many tensors; in some formats faster than one after the other.
  func insert(
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)]
  ) throws(DiffError) -> [StoredTensor]

  /// Removes a tensor and all its names; space inside the file need not be won back.
  func delete(_ tensor: StoredTensor) throws(DiffError)

  /// Gives a tensor another shape and keeps what else belongs to it. Its elements are undefined
  /// until the caller has written all of them.
  ///
  /// - Throws: `unsupported` if the format cannot hold the shape.
  func reshape(_ tensor: StoredTensor, to shape: Shape) throws(DiffError) -> StoredTensor

  /// Whether the format has attributes of objects, for `setAttribute`.
  var holdsAttributes: Bool { get }

  /// Makes an attribute what it is after a change; its object becomes a group if it is not there. To
  /// be called after all tensors have come and gone.
  func setAttribute(_ change: AttributeChange) throws(DiffError)

  /// Says that everything of a tensor before `offset` that will be written has been written: what
  /// must be packed can be, on all cores. Called while no other thread writes; not needed.
  func finish(_ tensor: StoredTensor, upTo offset: UInt64) throws(DiffError)

  /// Makes the file durable and gives it its name.
  func commit() throws(DiffError)
}

extension CheckpointOutput {
  /// One after the other.
  public func insert(
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)]
  ) throws(DiffError) -> [StoredTensor] {
    var stored: [StoredTensor] = []
    for tensor in tensors {
      stored.append(try insert(tensor.name, tensor.type, tensor.shape))
    }
    return stored
  }

  /// No, as in most formats.
  public var holdsAttributes: Bool { false }

  /// Refused.
  public func setAttribute(_ change: AttributeChange) throws(DiffError) {
    throw DiffError(.unsupported, "the format has no attributes")
  }

  /// Overwrites all of the bytes.
  public func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64,
    changing positions: Span<UInt32>, from old: Span<UInt8>
  ) throws(DiffError) { try write(bytes, to: tensor, at: offset) }

  /// False.
  public func readUnwritten(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) -> Bool { false }

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
