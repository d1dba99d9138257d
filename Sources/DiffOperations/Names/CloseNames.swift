import TensorCore

/// Finds similar names, which may belong to the same tensor.
public enum CloseNames {
  /// A tensor of the base and one of the tuned checkpoint.
  public struct Pair: Sendable, Hashable {
    /// The name in the base.
    public let base: TensorName
    /// The name in the tuned checkpoint.
    public let tuned: TensorName
  }

  /// The maximum number of names to compare: the result is only a hint.
  private static let limit = 2000
  /// The maximum length of a name to compare, in bytes.
  private static let longest = 512

  /// Returns the name with the least edit distance from `name`, or nil if none resembles it.
  ///
  /// - Complexity: O(length² · names), up to a bound.
  package static func closest(to name: TensorName, among names: [TensorName]) -> TensorName? {
    let wanted = Array(name.key.utf8)
    guard wanted.count <= longest else { return nil }
    var best: (distance: Int, name: TensorName)?
    for other in names.prefix(limit) where other.utf8.count <= longest {
      let found = distance(wanted, Array(other.key.utf8))
      if found < best?.distance ?? Int.max { best = (found, other) }
    }
    guard let best, best.distance * 2 <= max(wanted.count, best.name.utf8.count) else { return nil }
    return best.name
  }

  /// Returns the number of insertions, deletions and substitutions of bytes (Levenshtein 1966).
  package static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var row = Array(0...other.count)
    for (i, byte) in one.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, theirs) in other.enumerated() {
        let substituted = diagonal + (byte == theirs ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
      }
    }
    return row[other.count]
  }
}

extension CreateSummary {
  /// Records the tensors that only one side has, or that changed their shape.
  mutating func addNames(of pairs: [TensorPair]) {
    reshaped = pairs.filter(\.isReshape).map(\.name)
    let gone = pairs.filter { $0.tuned == nil }
    let new = pairs.filter { $0.base == nil }
    deleted = gone.map(\.name)
    inserted = new.map(\.name)
    for pair in gone.prefix(100) {
      let similar = new.filter { $0.type == pair.type && $0.shape == pair.shape }.map(\.name)
      if let name = CloseNames.closest(to: pair.name, among: similar) {
        alike.append(CloseNames.Pair(base: pair.name, tuned: name))
      }
    }
  }
}
