/// Joins neighbours to tokens, the pair that was learned first before all others (Sennrich et al.
/// 2016), the leftmost of equal ones. O(n log n), for words of any length.
struct Merges: Sendable {
  /// The rank of a pair of ids.
  private var ranks: [UInt64: UInt32] = [:]
  /// What the pairs become, by rank.
  private var results: [Int32] = []

  /// Adds the next pair.
  mutating func append(_ left: Int32, _ right: Int32, _ result: Int32) {
    ranks[Self.key(left, right)] = UInt32(results.count)
    results.append(result)
  }

  /// A token of a word: its id and where it ends, in bytes of the word.
  struct Symbol {
    var id: Int32
    var end: Int32
  }

  /// Joins the symbols, one a byte at first.
  func apply(to symbols: inout [Symbol]) {
    let count = symbols.count
    guard count > 1 else { return }
    // Symbols are joined to the left one; `next` and `previous` leave out those that are gone.
    var next = (0..<count).map { Int32($0 + 1) }
    var previous = (0..<count).map { Int32($0 - 1) }
    var queue = Queue()
    for index in 0..<count - 1 {
      if let rank = rank(symbols[index].id, symbols[index + 1].id) { queue.push(rank, index) }
    }
    while let (rank, left) = queue.pop() {
      let right = Int(next[left])
      guard right < count, let now = self.rank(symbols[left].id, symbols[right].id),
        results[Int(now)] == results[Int(rank)]
      else { continue }
      symbols[left] = Symbol(id: results[Int(rank)], end: symbols[right].end)
      symbols[right].id = -1
      let after = Int(next[right])
      next[left] = Int32(after)
      if after < count {
        previous[after] = Int32(left)
        if let rank = self.rank(symbols[left].id, symbols[after].id) { queue.push(rank, left) }
      }
      let before = Int(previous[left])
      if before >= 0, let rank = self.rank(symbols[before].id, symbols[left].id) {
        queue.push(rank, before)
      }
    }
    symbols.removeAll { $0.id < 0 }
  }

  private func rank(_ left: Int32, _ right: Int32) -> UInt32? {
    left < 0 || right < 0 ? nil : ranks[Self.key(left, right)]
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }
}

/// A binary heap of ranks and places, the least first.
private struct Queue {
  private var keys: [UInt64] = []

  mutating func push(_ rank: UInt32, _ place: Int) {
    keys.append(UInt64(rank) << 32 | UInt64(place))
    var child = keys.count - 1
    while child > 0, keys[child] < keys[(child - 1) / 2] {
      keys.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> (rank: UInt32, place: Int)? {
    guard let least = keys.first, let last = keys.popLast() else { return nil }
    if !keys.isEmpty {
      keys[0] = last
      var parent = 0
      while true {
        var child = parent * 2 + 1
        guard child < keys.count else { break }
        if child + 1 < keys.count && keys[child + 1] < keys[child] { child += 1 }
        guard keys[child] < keys[parent] else { break }
        keys.swapAt(child, parent)
        parent = child
      }
    }
    return (UInt32(least >> 32), Int(least & 0xFFFF_FFFF))
  }
}
