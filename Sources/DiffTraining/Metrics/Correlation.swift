/// Correlations of predicted numbers with true ones.
public enum Correlation {
  /// Returns Pearson's correlation; 0 if there are fewer than two pairs, one side is constant, or a
  /// number is not finite. O(n).
  public static func pearson(_ x: [Double], _ y: [Double]) -> Double {
    let count = min(x.count, y.count)
    guard count > 1, !isConstant(x.prefix(count)), !isConstant(y.prefix(count)) else { return 0 }
    let meanX = x.prefix(count).reduce(0, +) / Double(count)
    let meanY = y.prefix(count).reduce(0, +) / Double(count)
    var (xx, yy, xy) = (0.0, 0.0, 0.0)
    for (x, y) in zip(x, y) {
      xx += (x - meanX) * (x - meanX)
      yy += (y - meanY) * (y - meanY)
      xy += (x - meanX) * (y - meanY)
    }
    // Separate roots, since the product of two small sums could be zero.
    let result = xy / (xx.squareRoot() * yy.squareRoot())
    return result.isFinite ? max(-1, min(1, result)) : 0
  }

  /// Returns Spearman's correlation: Pearson's of the ranks, where equal numbers share the mean of
  /// theirs; 0 in the same cases. O(n log n).
  public static func spearman(_ x: [Double], _ y: [Double]) -> Double {
    let count = min(x.count, y.count)
    guard x.prefix(count).allSatisfy(\.isFinite), y.prefix(count).allSatisfy(\.isFinite)
    else { return 0 }
    return pearson(ranks(x.prefix(count)), ranks(y.prefix(count)))
  }

  /// Returns whether all numbers are equal.
  static func isConstant(_ numbers: some Collection<Double>) -> Bool {
    numbers.allSatisfy { $0 == numbers.first }
  }

  private static func ranks(_ numbers: ArraySlice<Double>) -> [Double] {
    let order = numbers.indices.sorted { numbers[$0] < numbers[$1] }
    var ranks = Array(repeating: 0.0, count: numbers.count)
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count && numbers[order[end]] == numbers[order[start]] { end += 1 }
      for index in start..<end { ranks[order[index]] = Double(start + end + 1) / 2 }
      start = end
    }
    return ranks
  }
}
