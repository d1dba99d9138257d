/// Memory for the matrices of one batch at a time.
///
/// Blocks are taken from large pieces in order; a block given back serves the next request of
/// its size, which in a network of equal layers comes soon. `reset` takes everything back.
final class Arena {
  private var pieces: [FloatBuffer] = []
  private var used = 0
  private var returned: [Int: [FloatMatrix]] = [:]
  private var total = 0

  /// A matrix whose elements are undefined.
  func take(rows: Int, columns: Int) -> FloatMatrix {
    let size = Self.size(rows * columns)
    if let block = returned[size]?.popLast() {
      return FloatMatrix(block.buffer, at: block.offset, rows: rows, columns: columns)
    }
    if pieces.last.map({ $0.count - used < size }) ?? true {
      pieces.append(FloatBuffer(count: max(size, Self.least), hugePages: true))
      used = 0
    }
    defer { used += size }
    total += size
    return FloatMatrix(pieces[pieces.count - 1], at: used, rows: rows, columns: columns)
  }

  /// Takes back a matrix that `take` gave.
  func giveBack(_ matrix: FloatMatrix) {
    returned[Self.size(matrix.count), default: []].append(matrix)
  }

  /// Takes back all matrices. What did not fit into one piece will the next time.
  func reset() {
    if pieces.count > 1 {
      pieces = []
      pieces = [FloatBuffer(count: total, hugePages: true)]
    }
    returned.removeAll(keepingCapacity: true)
    used = 0
    total = 0
  }

  private static let least = 1 << 20

  /// A cache line more than whole cache lines: rows of different matrices that have the same
  /// number then do not fall on the same place of the cache.
  private static func size(_ count: Int) -> Int { (count + 31) / 16 * 16 }
}
