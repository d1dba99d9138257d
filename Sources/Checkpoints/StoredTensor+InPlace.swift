extension StoredTensor {
  /// The units in which its elements can be written in place; nil if they cannot be: they are in an
  /// object's header or not stored, or in chunks that are filtered or partly missing.
  var writeUnits: (any WriteUnits)? {
    switch storage {
    case .contiguous(let offset): ContiguousUnit(offset: offset)
    case .chunked(let chunks): ChunkUnits(self, chunks)
    case .compact, .unallocated: nil
    }
  }

  /// True if its elements can be changed in place.
  package var isChangeableInPlace: Bool { writeUnits != nil }
}
