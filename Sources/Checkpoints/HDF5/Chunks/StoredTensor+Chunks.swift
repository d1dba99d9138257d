extension StoredTensor.Chunks {
  /// Where in the list the chunks of a range of numbers stand. O(log n).
  func stored(_ numbers: Range<UInt64>) -> Range<Int> {
    func first(notBelow number: UInt64) -> Int {
      var low = 0
      var high = chunks.count
      while low < high {
        let middle = (low + high) / 2
        if chunks[middle].index < number { low = middle + 1 } else { high = middle }
      }
      return low
    }
    return first(notBelow: numbers.lowerBound)..<first(notBelow: numbers.upperBound)
  }
}
