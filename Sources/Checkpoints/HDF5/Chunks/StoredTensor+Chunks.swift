import Algorithms

extension StoredTensor.Chunks {
  /// Returns the range in `chunks` of the chunks with these indices in the grid. O(log n).
  func stored(_ indices: Range<UInt64>) -> Range<Int> {
    let first = chunks.partitioningIndex { $0.index >= indices.lowerBound }
    let end = chunks.partitioningIndex { $0.index >= indices.upperBound }
    return first..<end
  }
}
