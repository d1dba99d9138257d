import TensorCore

extension Ranks {
  /// Gives all ranks the lists of numbers that each has made.
  ///
  /// - Parameter indices: The indices of the lists that a rank has made.
  func share(_ lists: inout [[Float]], _ indices: (_ rank: Int) -> [Int]) throws(DiffError) {
    guard count > 1 else { return }
    let own = indices(rank).flatMap { index in
      [UInt32(lists[index].count)] + lists[index].map(\.bitPattern)
    }
    for (rank, bytes) in try gather(own.littleEndianBytes).enumerated() where rank != self.rank {
      var next = 0
      func take() -> UInt32 {
        defer { next += 4 }
        return bytes.littleEndian(at: next)
      }
      for index in indices(rank) {
        lists[index] = (0..<take()).map { _ in Float(bitPattern: take()) }
      }
    }
  }
}
