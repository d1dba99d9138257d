import Algorithms
import Kernels
import TensorCore

/// Orders the examples of an epoch into batches, as a function of seed and epoch alone.
public struct Batches: Sendable, Hashable {
  /// Examples in a batch; the last one of an epoch has what is left.
  public var size: Int
  /// Of how many batches the examples are sorted by length before they are cut into batches:
  /// those of a batch are then of similar length. 1: they are not sorted.
  public var pool: Int
  /// What the order is a function of.
  public var seed: UInt64

  /// Batches of a size.
  public init(size: Int, pool: Int = 8, seed: UInt64) {
    self.size = max(1, size)
    self.pool = max(1, pool)
    self.seed = seed
  }

  /// How many batches an epoch has.
  public func count(of examples: Int) -> Int { (examples + size - 1) / size }

  /// The batches of an epoch: places of examples; every example once. A batch has at most `size`
  /// times the greatest length, since nothing is padded. O(n log n).
  ///
  /// - Parameter lengths: Tokens of each example.
  public func batches(_ lengths: [Int], epoch: Int) -> [[Int]] {
    var random = SplitMix64(
      seed: seed &+ UInt64(truncatingIfNeeded: epoch) &* 0x9E37_79B9_7F4A_7C15)
    let order = lengths.indices.shuffled(by: &random)
    var batches: [[Int]] = []
    for pool in order.chunks(ofCount: size * pool) {
      let sorted = pool.enumerated().sorted {
        (lengths[$0.element], $0.offset) < (lengths[$1.element], $1.offset)
      }.map(\.element)
      batches += sorted.chunks(ofCount: size).map(Array.init)
    }
    // A batch that is not full comes last.
    let full = batches.filter { $0.count == size }
    return full.indices.shuffled(by: &random).map { full[$0] }
      + batches.filter { $0.count != size }
  }

  /// All examples by their length, for evaluation: places, the shortest first.
  public func byLength(_ lengths: [Int]) -> [[Int]] {
    lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }.chunks(ofCount: size)
      .map(Array.init)
  }
}

extension TaskData {
  /// Splits a part off, by seed: of each class the same share, to the nearest example; numbers
  /// and spans are one class.
  ///
  /// - Parameter share: Of the part, 0 ... 1.
  /// - Returns: The places of the rest and of the part, ascending.
  public func split(_ share: Double, seed: UInt64) -> (rest: [Int], part: [Int]) {
    var random = SplitMix64(seed: seed)
    let strata = Dictionary(grouping: rows.indices) { index in
      if case .label(let label) = rows[index].target { label } else { -1 }
    }
    var part: [Int] = []
    for label in strata.keys.sorted() {
      let places = (strata[label] ?? []).shuffled(by: &random)
      let count = Int((Double(places.count) * min(1, max(0, share))).rounded())
      part += places.prefix(count)
    }
    let isPart = Set(part)
    return (rows.indices.filter { !isPart.contains($0) }, part.sorted())
  }
}

extension RandomAccessCollection where Element: Sendable, Index == Int {
  /// The elements in an order of chance (Fisher, Yates 1938). Written here, so that it is the same
  /// with every standard library.
  fileprivate func shuffled(by random: inout SplitMix64) -> [Element] {
    var out = Array(self)
    for last in stride(from: out.count - 1, to: 0, by: -1) {
      out.swapAt(last, Int(random.next(below: UInt64(last + 1))))
    }
    return out
  }
}
