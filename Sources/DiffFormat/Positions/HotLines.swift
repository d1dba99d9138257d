import Platform

/// Selection of the rows (or columns) of a page that change so much more often than the others that
/// coding them separately is smaller.
enum HotLines {
  /// Returns the hot lines, ascending, and the number of bits gained; no lines if nothing is
  /// gained.
  ///
  /// Tries every threshold on the number of changes in a line and takes the one that minimizes the
  /// sum of three entropies: of the hot lines, of the cold lines, and of the list of hot lines.
  /// - Complexity: O(lines + changes of the hottest).
  static func choose(counts: [UInt32], lineLength: UInt64) -> (lines: [UInt32], gain: Double) {
    guard let most = counts.max() else { return ([], 0) }
    var linesWith = [Int](repeating: 0, count: Int(most) + 1)
    for count in counts { linesWith[Int(count)] += 1 }
    let length = Double(lineLength)
    let allLines = Double(counts.count)
    let allChanges = counts.reduce(0.0) { $0 + Double($1) }
    let undivided = entropy(allLines * length, allChanges)
    var best = (cost: undivided, threshold: UInt32.max)
    var lines = 0.0
    var changes = 0.0
    for threshold in stride(from: Int(most), to: 0, by: -1) where linesWith[threshold] > 0 {
      lines += Double(linesWith[threshold])
      changes += Double(threshold * linesWith[threshold])
      let cost =
        entropy(lines * length, changes)
        + entropy((allLines - lines) * length, allChanges - changes)
        // A Rice code of the list of hot lines exceeds its entropy by this factor.
        + 1.03 * entropy(allLines, lines)
      if cost < best.cost { best = (cost, UInt32(threshold)) }
    }
    let hot = counts.indices.filter { counts[$0] >= best.threshold }.map { UInt32($0) }
    return (hot, undivided - best.cost)
  }

  /// Returns log2 of the number of ways to choose `chosen` of `elements`, by Stirling's leading
  /// terms.
  private static func entropy(_ elements: Double, _ chosen: Double) -> Double {
    func term(_ x: Double) -> Double { x > 0 ? x * log2(x) : 0 }
    return max(0, term(elements) - term(chosen) - term(elements - chosen))
  }
}
