/// How the elements of a tensor stand in its file, where they can be changed one by one: in units,
/// each in one piece.
protocol WriteUnits {
  /// The units that a range of the tensor's bytes touches.
  func units(of range: Range<UInt64>) -> [WriteUnit]
}

/// Bytes that stand in one piece in a file, and which of them are of a range of a tensor's bytes.
struct WriteUnit {
  /// A run of bytes that both have.
  struct Run {
    /// Its bytes, counted from the beginning of the unit.
    var inside: Range<Int>
    /// Where it begins in the range.
    var start: Int
  }

  /// Where the unit begins in the file.
  var offset: UInt64
  /// Its bytes.
  var count: Int
  var runs: [Run]
}

extension WriteUnit {
  /// From the first byte of some runs to the last, if there are any.
  ///
  /// - Parameter offset: from where in the file their places are counted.
  init?(covering runs: [Run], from offset: UInt64) {
    guard let first = runs.map(\.inside.lowerBound).min(),
      let end = runs.map(\.inside.upperBound).max()
    else { return nil }
    self.offset = offset + UInt64(first)
    count = end - first
    self.runs = runs.map {
      Run(inside: $0.inside.lowerBound - first..<$0.inside.upperBound - first, start: $0.start)
    }
  }
}

/// A tensor in one piece.
struct ContiguousUnit: WriteUnits {
  /// Where it begins in the file.
  let offset: UInt64

  func units(of range: Range<UInt64>) -> [WriteUnit] {
    let run = WriteUnit.Run(inside: 0..<range.count, start: 0)
    return [WriteUnit(offset: offset + range.lowerBound, count: range.count, runs: [run])]
  }
}
