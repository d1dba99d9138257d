import Kernels
import Platform
import TensorCore

/// Returns ascending positions; each of `count` elements is chosen with probability `density`.
func uniformPositions(_ count: UInt64, density: Double, seed: UInt64) -> [UInt64] {
  var random = SplitMix64(seed: seed)
  var positions: [UInt64] = []
  positions.reserveCapacity(Int(Double(count) * density * 1.01))
  let scale = 1 / log(1 - density)
  var next = 0.0
  while true {
    next += (log(1 - random.unit()) * scale).rounded(.down)
    guard next < Double(count) else { return positions }
    positions.append(UInt64(next))
    next += 1
  }
}

/// Returns ascending positions in rows × columns, where a tenth of the rows (and with `both`, of
/// the columns) is ten times as dense as the rest.
func clusteredPositions(
  rows: Int, columns: Int, density: Double, both: Bool, seed: UInt64
) -> [UInt64] {
  var random = SplitMix64(seed: seed)
  func rates(_ count: Int, _ clustered: Bool) -> [Double] {
    let cold = clustered ? 1 / 1.9 : 1
    return (0..<count).map { _ in clustered && random.unit() < 0.1 ? 10 * cold : cold }
  }
  let rowRates = rates(rows, true)
  let columnRates = rates(columns, both)
  var positions: [UInt64] = []
  for row in 0..<rows {
    for column in 0..<columns where random.unit() < density * rowRates[row] * columnRates[column] {
      positions.append(UInt64(row * columns + column))
    }
  }
  return positions
}
