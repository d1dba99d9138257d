import Algorithms

/// The layout in its file of a tensor whose elements can be changed one by one.
protocol WriteUnits {
  /// Returns the bytes of a range of the tensor as contiguous ranges of the file.
  func units(of range: Range<UInt64>) -> [WriteUnit]
}

/// Bytes of a range of a tensor that are contiguous in the file.
struct WriteUnit {
  /// Their offset in the file.
  var offset: UInt64
  /// The byte ranges, relative to the range, that the unit consists of, in its order.
  var parts: [Range<Int>]
}

extension WriteUnit {
  /// Returns the changed elements that are in the unit: their positions relative to its start, and
  /// for each part the indices of its changes in `positions`.
  func changes(
    among positions: Span<UInt32>, width: Int
  ) -> (positions: [UInt32], changes: [Range<Int>]) {
    var inside: [UInt32] = []
    var changes: [Range<Int>] = []
    var start = 0
    for part in parts {
      func index(of byte: Int) -> Int {
        positions.indices.partitioningIndex { Int(positions[$0]) >= byte / width }
      }
      let (first, end) = (index(of: part.lowerBound), index(of: part.upperBound))
      for index in first..<end {
        inside.append(UInt32(start + Int(positions[index]) - part.lowerBound / width))
      }
      changes.append(first..<end)
      start += part.count / width
    }
    return (inside, changes)
  }
}

/// A contiguous tensor.
struct ContiguousUnit: WriteUnits {
  /// Its offset in the file.
  let offset: UInt64

  func units(of range: Range<UInt64>) -> [WriteUnit] {
    [WriteUnit(offset: offset + range.lowerBound, parts: [0..<range.count])]
  }
}
