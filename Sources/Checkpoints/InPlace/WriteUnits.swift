import Algorithms

/// How the elements of a tensor stand in its file, where they can be changed one by one.
protocol WriteUnits {
  /// The bytes of a range of the tensor, as they stand in the file.
  func units(of range: Range<UInt64>) -> [WriteUnit]
}

/// Bytes of a range of a tensor that stand in one piece in a file, with nothing else between them.
struct WriteUnit {
  /// Where they begin in the file.
  var offset: UInt64
  /// Which bytes of the range they are, end to end.
  var parts: [Range<Int>]
}

extension WriteUnit {
  /// The elements of the unit that are among changed ones of the range: their positions in the
  /// unit, and for each part which of the changes they are.
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

/// A tensor in one piece.
struct ContiguousUnit: WriteUnits {
  /// Where it begins in the file.
  let offset: UInt64

  func units(of range: Range<UInt64>) -> [WriteUnit] {
    [WriteUnit(offset: offset + range.lowerBound, parts: [0..<range.count])]
  }
}
