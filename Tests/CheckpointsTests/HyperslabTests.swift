import HDF5Access
import Testing

@Suite struct HyperslabTests {
  @Test(
    "every range is covered, in order",
    arguments: [
      [], [7], [1, 1], [3, 4], [1, 5, 1], [2, 3, 4], [3, 1, 2, 2], [2, 2, 2, 2, 2],
    ])
  func ranges(extents: [UInt64]) {
    let count = extents.reduce(1, *)
    for lower in 0...count {
      for upper in lower...count {
        let boxes = Hyperslab.covering(lower..<upper, of: extents[...])
        #expect(boxes.flatMap { indices(of: $0, in: extents) } == Array(lower..<upper))
        #expect(boxes.count <= max(1, 2 * extents.count - 1))
      }
    }
  }

  /// The row-major indices of the elements of a box.
  private func indices(of box: Hyperslab, in extents: [UInt64]) -> [UInt64] {
    var indices: [UInt64] = [0]
    for (extent, (start, count)) in zip(extents, zip(box.start, box.count)) {
      indices = indices.flatMap { index in
        (start..<start + count).map { index * extent + $0 }
      }
    }
    return indices
  }
}
