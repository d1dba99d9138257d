import HeapModule

/// The pairs of byte-pair encoding (Sennrich et al. 2016), which join neighbouring symbols: the
/// pair learned first before all others, the leftmost of equal ones. O(n log n).
struct Merges: Sendable {
  /// The rank of a pair of ids.
  private var ranks: [UInt64: UInt32] = [:]
  /// The token that each pair becomes, by rank.
  private var results: [Int32] = []

  /// Adds the next pair.
  mutating func append(_ left: Int32, _ right: Int32, _ result: Int32) {
    ranks[Self.key(left, right)] = UInt32(results.count)
    results.append(result)
  }

  /// A token of a word: its id and its end, in bytes of the word.
  struct Symbol {
    var id: Int32
    var end: Int32
  }

  /// Joins the symbols of a word, which are initially its bytes.
  func apply(to symbols: inout [Symbol]) {
    let count = symbols.count
    guard count > 1 else { return }
    // A pair is joined in its left symbol; `next` and `previous` skip the right ones.
    var next = (0..<count).map { Int32($0 + 1) }
    var previous = (0..<count).map { Int32($0 - 1) }
    // Ranks in the upper 32 bits, indices of left symbols in the lower.
    var queue = Heap<UInt64>()
    func push(_ rank: UInt32, _ index: Int) { queue.insert(UInt64(rank) << 32 | UInt64(index)) }
    for index in 0..<count - 1 {
      if let rank = rank(symbols[index].id, symbols[index + 1].id) { push(rank, index) }
    }
    while let least = queue.popMin() {
      let (rank, left) = (least >> 32, Int(least & 0xFFFF_FFFF))
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
        if let rank = self.rank(symbols[left].id, symbols[after].id) { push(rank, left) }
      }
      let before = Int(previous[left])
      if before >= 0, let rank = self.rank(symbols[before].id, symbols[left].id) {
        push(rank, before)
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
