extension StoredTensor {
  /// The units in which its elements are written where they stand; nil where they cannot be: they
  /// lie in an object's header or nowhere, or in chunks that are filtered or not all there.
  var writeUnits: (any WriteUnits)? {
    switch storage {
    case .contiguous(let offset): ContiguousUnit(offset: offset)
    case .chunked(let chunks): ChunkUnits(self, chunks)
    case .compact, .unallocated: nil
    }
  }

  /// Whether its elements can be changed where they stand.
  package var isChangeableInPlace: Bool { writeUnits != nil }
}
