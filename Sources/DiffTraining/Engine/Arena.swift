/// Memory for the matrices of one batch at a time.
///
/// Matrices are taken from large buffers in order; one that is given back serves the next request
/// of its size, which comes soon in a network of equal layers. `reset` takes everything back.
final class Arena {
  private var buffers: [FloatBuffer] = []
  private var used = 0
  private var returned: [Int: [FloatMatrix]] = [:]
  private var total = 0

  /// Returns a matrix whose elements are undefined.
  func take(rows: Int, columns: Int) -> FloatMatrix {
    let size = Self.size(rows * columns)
    if let matrix = returned[size]?.popLast() {
      return FloatMatrix(matrix.buffer, at: matrix.offset, rows: rows, columns: columns)
    }
    if buffers.last.map({ $0.count - used < size }) ?? true {
      buffers.append(FloatBuffer(count: max(size, Self.least), hugePages: true))
      used = 0
    }
    defer { used += size }
    total += size
    return FloatMatrix(buffers[buffers.count - 1], at: used, rows: rows, columns: columns)
  }

  /// Takes back a matrix that `take` gave.
  func giveBack(_ matrix: FloatMatrix) {
    returned[Self.size(matrix.count), default: []].append(matrix)
  }

  /// Takes back all matrices. Where one buffer was too small, the next is large enough for all.
  func reset() {
    if buffers.count > 1 {
      buffers = []
      buffers = [FloatBuffer(count: total, hugePages: true)]
    }
    returned.removeAll(keepingCapacity: true)
    used = 0
    total = 0
  }

  private static let least = 1 << 20

  /// Returns the count rounded up to whole cache lines, plus one line, so that rows of equal index
  /// in different matrices do not map to the same cache set.
  private static func size(_ count: Int) -> Int { (count + 31) / 16 * 16 }
}
