import Kernels
import TensorCore

/// The distribution of the positions of a test.
package enum Clustering: CaseIterable, Sendable {
  case uniform, runs, hotRows, hotColumns, hotBoth, periodic
}

/// Returns ascending positions in a tensor of `rows × columns` elements, about `density` of them.
package func positions(
  _ clustering: Clustering, rows: Int, columns: Int, density: Double,
  _ random: inout SplitMix64
) -> [UInt64] {
  // Ten percent of the lines are ten times as dense as the others.
  func rates(_ count: Int, _ hot: Bool) -> [Double] {
    (0..<count).map { _ in hot ? (random.unit() < 0.1 ? 10 / 1.9 : 1 / 1.9) : 1 }
  }
  let rowRates = rates(rows, clustering == .hotRows || clustering == .hotBoth)
  let columnRates = rates(columns, clustering == .hotColumns || clustering == .hotBoth)
  var inRun = false
  var out: [UInt64] = []
  for row in 0..<rows {
    for column in 0..<columns {
      let index = row * columns + column
      let rate = density * rowRates[row] * columnRates[column]
      switch clustering {
      case .runs:
        // Runs of 16 on average; the gaps between them keep the density.
        if random.unit() < (inRun ? 1 / 16.0 : density / 16 / max(1 - density, 0.01)) {
          inRun.toggle()
        }
        if inRun { out.append(UInt64(index)) }
      case .periodic:
        if index % max(1, Int(1 / max(density, 1e-9))) == 0 { out.append(UInt64(index)) }
      default:
        if random.unit() < rate { out.append(UInt64(index)) }
      }
    }
  }
  return out
}
