import TensorCore

/// Validation of replies from libhdf5, which may be arbitrary if the file is damaged.
extension HDF5Table {
  /// Refuses a table that is impossible for a file of `fileSize` bytes, moves tensors that are
  /// impossible to the damaged ones, and skips tensors once the bytes that are not stored exceed a
  /// limit.
  ///
  /// - Throws: `malformed` with the name of the tensor.
  /// - Complexity: O(n log n) in tensors and chunks.
  package mutating func check(fileSize: UInt64) throws(DiffError) {
    for (tensor, next) in zip(tensors, tensors.dropFirst()) where tensor.name >= next.name {
      throw .brokenMessage
    }
    var sound: [StoredTensor] = []
    for tensor in tensors {
      do throws(DiffError) {
        try tensor.check(fileSize: fileSize)
        sound.append(tensor)
      } catch { damaged.append(error.at(tensor: tensor.name)) }
    }
    tensors = sound
    try checkOverlaps()
    skipMissing()
  }

  /// Refuses tensors and chunks that share bytes: a change of one would change both, and a small
  /// file could claim any number of them.
  private func checkOverlaps() throws(DiffError) {
    var ranges: [(range: Range<UInt64>, tensor: Int)] = []
    for (index, tensor) in tensors.enumerated() {
      for range in tensor.storedRanges where !range.isEmpty { ranges.append((range, index)) }
    }
    ranges.sort { $0.range.lowerBound < $1.range.lowerBound }
    for (one, next) in zip(ranges, ranges.dropFirst())
    where next.range.lowerBound < one.range.upperBound {
      throw DiffError(
        .malformed, "shares bytes of the file with '\(tensors[one.tensor].name)'",
        tensor: tensors[next.tensor].name, offset: next.range.lowerBound)
    }
  }

  /// The maximum number of bytes of one file that are not stored: a file can claim any number of
  /// them, and reading them takes time.
  private static let maximumMissing: UInt64 = 1 << 30

  private mutating func skipMissing() {
    var left = Self.maximumMissing
    var skippedIndices: Set<Int> = []
    for (index, tensor) in tensors.enumerated() {
      let missing = tensor.missingBytes
      if missing <= left {
        left -= missing
      } else {
        skippedIndices.insert(index)
        skipped.append(
          SkippedObject(
            name: tensor.name, reason: "too many bytes that are not stored (\(missing))"))
      }
    }
    guard !skippedIndices.isEmpty else { return }
    tensors = tensors.enumerated().filter { !skippedIndices.contains($0.offset) }.map(\.element)
    skipped.sort { $0.name < $1.name }
  }
}

extension StoredTensor {
  /// Refuses a tensor that is impossible in a file of `fileSize` bytes.
  func check(fileSize: UInt64) throws(DiffError) {
    guard name != "", !name.utf8.contains(0), !aliases.contains("") else {
      throw .brokenMessage
    }
    switch storage {
    case .unallocated: break
    case .compact:
      guard byteCount < 1 << 16 else {
        throw DiffError(.malformed, "more elements than an object's header holds")
      }
    case .contiguous(let offset):
      guard offset <= fileSize, byteCount <= fileSize - offset else {
        throw DiffError(.malformed, "its bytes extend beyond the end of the file", offset: offset)
      }
    case .chunked(let chunks): try chunks.check(self, fileSize)
    }
  }

  /// The byte ranges in the file that the tensor takes.
  var storedRanges: [Range<UInt64>] {
    switch storage {
    case .unallocated, .compact: []
    case .contiguous(let offset): [offset..<offset + byteCount]
    case .chunked(let chunks): chunks.chunks.map { $0.offset..<$0.offset + $0.size }
    }
  }

  /// The number of its bytes that are not stored.
  fileprivate var missingBytes: UInt64 {
    switch storage {
    case .contiguous, .compact: 0
    case .unallocated: byteCount
    case .chunked(let chunks):
      byteCount - min(byteCount, UInt64(chunks.chunks.count) * chunks.byteCount(type))
    }
  }
}

extension StoredTensor.Chunks {
  /// Returns the number of bytes of a chunk without filters, limited to the library's maximum.
  package func byteCount(_ type: ElementType) -> UInt64 {
    min(StoredTensor.Chunks.maximumSize, shape.count) * UInt64(type.width)
  }

  /// The limit of HDF5 on the size of chunks.
  private static let maximumSize: UInt64 = 1 << 32

  fileprivate func check(_ tensor: StoredTensor, _ fileSize: UInt64) throws(DiffError) {
    let rank = tensor.shape.extents.count
    guard rank > 0, shape.extents.count == rank, shape.count > 0,
      shape.count < Self.maximumSize / UInt64(tensor.type.width)
    else { throw DiffError(.malformed, "has chunks of an impossible shape") }
    let size = byteCount(tensor.type)
    var count: UInt64 = 1
    // At most the number of elements, so it cannot overflow.
    for (extent, side) in zip(tensor.shape.extents, shape.extents) {
      count *= extent == 0 ? 0 : (extent - 1) / side + 1
    }
    for (chunk, next) in zip(chunks, chunks.dropFirst()) where chunk.index >= next.index {
      throw DiffError(.malformed, "has two chunks with the same index", offset: next.offset)
    }
    for chunk in chunks {
      guard chunk.index < count, chunk.offset <= fileSize, chunk.size <= fileSize - chunk.offset
      else {
        throw DiffError(
          .malformed, "a chunk is outside the file or the tensor", offset: chunk.offset)
      }
      guard chunk.size > 0, chunk.size < Self.maximumSize,
        !filters.isEmpty || chunk.size == size
      else { throw DiffError(.malformed, "a chunk has a wrong size", offset: chunk.offset) }
    }
  }
}
