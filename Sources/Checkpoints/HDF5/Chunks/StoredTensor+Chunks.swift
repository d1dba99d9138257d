import Algorithms

extension StoredTensor.Chunks {
  /// Where in the list the chunks of a range of numbers stand. O(log n).
  func stored(_ numbers: Range<UInt64>) -> Range<Int> {
    let first = chunks.partitioningIndex { $0.index >= numbers.lowerBound }
    let end = chunks.partitioningIndex { $0.index >= numbers.upperBound }
    return first..<end
  }
}
