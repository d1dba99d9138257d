/// The positions of the largest magnitudes of a flat buffer, over all parameters but the head's.
package struct TopPositions {
  /// The positions, ascending.
  package let positions: [Int]

  /// Finds the `wanted` largest; fewer if the others are zero. Among equals the first by tensor
  /// name, then position.
  ///
  /// - Complexity: O(parameters), two passes: binary32 patterns of magnitudes are ordered as the
  ///   numbers are, so that a histogram of their upper halves, then one of the lower halves
  ///   inside the bin of the last one that is kept, find the cut exactly.
  package init(_ wanted: Int, of values: FloatBuffer, _ layout: ParameterLayout) {
    let body = layout.parameters.filter { !$0.isHead }.sorted { $0.name < $1.name }
    let values = values.span
    var upper = [Int](repeating: 0, count: 1 << 16)
    for parameter in body {
      for place in parameter.range { upper[Int(values[place].magnitude.bitPattern >> 16)] += 1 }
    }
    var left = wanted
    let bin = Self.bin(of: &left, upper)
    var lower = [Int](repeating: 0, count: 1 << 16)
    for parameter in body {
      for place in parameter.range {
        let pattern = values[place].magnitude.bitPattern
        if pattern >> 16 == bin { lower[Int(pattern & 0xFFFF)] += 1 }
      }
    }
    // Zeros are never kept; the least pattern that can be kept is 1.
    let cut = max(1, UInt32(bin) << 16 | UInt32(Self.bin(of: &left, lower)))
    var positions: [Int] = []
    for parameter in body {
      for place in parameter.range {
        let pattern = values[place].magnitude.bitPattern
        if pattern == cut {
          guard left > 0 else { continue }
          left -= 1
        } else if pattern < cut {
          continue
        }
        positions.append(place)
      }
    }
    self.positions = positions.sorted()
  }

  /// Returns the bin of the `left`-th largest, counted from above, or the last; sets `left` to its
  /// rank there.
  private static func bin(of left: inout Int, _ histogram: [Int]) -> Int {
    for bin in histogram.indices.reversed() {
      if histogram[bin] >= left || bin == 0 { return bin }
      left -= histogram[bin]
    }
    return 0
  }
}
