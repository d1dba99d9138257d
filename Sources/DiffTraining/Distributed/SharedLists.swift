import TensorCore

extension Ranks {
  /// Gives all ranks the lists of numbers that each has made.
  ///
  /// - Parameter places: Those of the lists that a rank has made.
  func share(_ lists: inout [[Float]], _ places: (_ rank: Int) -> [Int]) throws(DiffError) {
    guard count > 1 else { return }
    let own = places(rank).flatMap { place in
      [UInt32(lists[place].count)] + lists[place].map(\.bitPattern)
    }
    for (rank, bytes) in try gather(own.littleEndianBytes).enumerated() where rank != self.rank {
      var next = 0
      func take() -> UInt32 {
        defer { next += 4 }
        return bytes.littleEndian(at: next)
      }
      for place in places(rank) {
        lists[place] = (0..<take()).map { _ in Float(bitPattern: take()) }
      }
    }
  }
}
