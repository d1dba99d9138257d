/// The extent of some examples of a batch.
public struct BatchExtent: Sendable, Hashable {
  /// The number of examples.
  public var examples = 0
  /// The sum of their lengths, and of the squares of those.
  public var tokens = 0, squares = 0

  /// Creates an empty extent.
  public init() {}

  /// Creates the extent of some examples.
  ///
  /// - Parameter lengths: The length of each example.
  public init(_ lengths: some Sequence<Int>) {
    for length in lengths {
      examples += 1
      tokens += length
      squares += length * length
    }
  }
}

extension Ranks {
  /// Returns the range of a batch that this rank reads, so that ranks have about as many tokens.
  ///
  /// - Parameter lengths: The length of each example of the batch.
  func share(of lengths: [Int]) -> Range<Int> {
    if count == 1 { return lengths.indices }
    let shares = Self.shares(of: lengths, among: count)
    return shares[rank]
  }

  /// Returns the share of each rank: an example belongs to the rank whose range of the tokens holds
  /// its middle.
  package static func shares(of lengths: [Int], among count: Int) -> [Range<Int>] {
    let total = max(1, lengths.reduce(0, +))
    var (before, next) = (0, 0)
    var ends = [Int](repeating: 0, count: count)
    for length in lengths {
      let rank = min(count - 1, count * (2 * before + length) / (2 * total))
      next += 1
      ends[rank] = next
      before += length
    }
    var start = 0
    return ends.map { end in
      defer { start = max(start, end) }
      return start..<max(start, end)
    }
  }
}
