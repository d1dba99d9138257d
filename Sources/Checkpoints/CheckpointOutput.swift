import TensorCore

/// A checkpoint that is being written: a copy of another one with changes. Everything that the
/// caller does not change is bit-identical in the copy. Nothing appears at the destination before
/// `commit`, or at all if the object is released without it.
public protocol CheckpointOutput: AnyObject, Sendable {
  /// Overwrites bytes of a tensor that the source has; `bytes` are little-endian. Different ranges
  /// may be written from several threads.
  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError)

  /// Overwrites bytes of a tensor in which single elements change, for outputs that change the
  /// source itself and record the changes. The other elements of `bytes` must equal the stored
  /// ones.
  ///
  /// - Parameters:
  ///   - bytes: the new bytes of a range of elements, little-endian.
  ///   - tensor: the tensor, which the source has.
  ///   - offset: the offset of `bytes` in the tensor, in bytes.
  ///   - positions: the elements that may change, ascending, relative to the start of `bytes`.
  ///   - old: the old values of these elements.
  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64,
    changing positions: Span<UInt32>, from old: Span<UInt8>
  ) throws(DiffError)

  /// Fills `buffer` with bytes of a tensor of the source that have not been written yet, if the
  /// output can read them in less memory than the source; returns false otherwise. For callers that
  /// write the same bytes next.
  func readUnwritten(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) -> Bool

  /// Adds a tensor and the groups in its path. Its elements are undefined until the caller has
  /// written all of them.
  ///
  /// - Throws: `unsupported` if the format cannot hold the name or the type, `mismatch` if an
  ///   object of that name exists.
  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor

  /// Adds several tensors; in some formats faster than one by one.
  func insert(
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)]
  ) throws(DiffError) -> [StoredTensor]

  /// Removes a tensor and all its names; its space inside the file may not be reclaimed.
  func delete(_ tensor: StoredTensor) throws(DiffError)

  /// Gives a tensor another shape and keeps its other properties. Its elements are undefined until
  /// the caller has written all of them.
  ///
  /// - Throws: `unsupported` if the format cannot hold the shape.
  func reshape(_ tensor: StoredTensor, to shape: Shape) throws(DiffError) -> StoredTensor

  /// True if objects of the format have attributes, for `setAttribute`.
  var holdsAttributes: Bool { get }

  /// Applies a change to an attribute; if its object does not exist, a group is created. To be
  /// called after all tensors have been inserted and deleted.
  func setAttribute(_ change: AttributeChange) throws(DiffError)

  /// Declares that all writes to a tensor before `offset` are done, so that its chunks can be
  /// packed on all cores. Optional; to be called while no other thread writes.
  func finish(_ tensor: StoredTensor, upTo offset: UInt64) throws(DiffError)

  /// Makes the file durable and moves it to its destination.
  func commit() throws(DiffError)
}

extension CheckpointOutput {
  /// Adds the tensors one by one.
  public func insert(
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)]
  ) throws(DiffError) -> [StoredTensor] {
    var stored: [StoredTensor] = []
    for tensor in tensors {
      stored.append(try insert(tensor.name, tensor.type, tensor.shape))
    }
    return stored
  }

  /// False.
  public var holdsAttributes: Bool { false }

  /// Throws `unsupported`.
  public func setAttribute(_ change: AttributeChange) throws(DiffError) {
    throw DiffError(.unsupported, "the format has no attributes")
  }

  /// Overwrites all of the bytes.
  public func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64,
    changing positions: Span<UInt32>, from old: Span<UInt8>
  ) throws(DiffError) { try write(bytes, to: tensor, at: offset) }

  /// Returns false.
  public func readUnwritten(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) -> Bool { false }

  /// Does nothing, for formats without filters.
  public func finish(_ tensor: StoredTensor, upTo offset: UInt64) throws(DiffError) {}

  /// Deletes the tensor and inserts it again, for formats in which a tensor has no other
  /// properties.
  public func reshape(
    _ tensor: StoredTensor, to shape: Shape
  ) throws(DiffError) -> StoredTensor {
    try delete(tensor)
    return try insert(tensor.name, tensor.type, shape)
  }
}
