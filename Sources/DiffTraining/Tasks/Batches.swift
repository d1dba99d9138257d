import Algorithms
import Kernels
import TensorCore

/// The division of examples into batches, as a function of seed and epoch only.
public struct Batches: Sendable, Hashable {
  /// The number of examples in a batch; the last one of an epoch has the rest.
  public var size: Int
  /// The number of batches whose examples are sorted by length together before they are divided, so
  /// that the examples of a batch are of similar length. 1: lengths do not matter.
  public var pool: Int
  /// The seed of the order.
  public var seed: UInt64

  /// Creates batches of a size.
  public init(size: Int, pool: Int = 8, seed: UInt64) {
    self.size = max(1, size)
    self.pool = max(1, pool)
    self.seed = seed
  }

  /// Returns the number of batches in an epoch.
  public func count(of examples: Int) -> Int { (examples + size - 1) / size }

  /// Returns the batches of an epoch: indices of examples, every example once. A batch has at most
  /// `size` times the greatest length, since nothing is padded. O(n log n).
  ///
  /// - Parameters:
  ///   - lengths: The number of tokens of each example.
  ///   - epoch: The number of the epoch, which determines the order together with `seed`.
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

  /// Returns all examples by their length, for evaluation: indices, the shortest first.
  public func byLength(_ lengths: [Int]) -> [[Int]] {
    lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }.chunks(ofCount: size)
      .map(Array.init)
  }
}

extension TaskData {
  /// Splits off a random part: of each class the same share, to the nearest example; numbers and
  /// spans are one class.
  ///
  /// - Parameters:
  ///   - share: The share of the part, 0 ... 1.
  ///   - seed: The seed of the choice.
  /// - Returns: The indices of the rest and of the part, ascending.
  public func split(_ share: Double, seed: UInt64) -> (rest: [Int], part: [Int]) {
    var random = SplitMix64(seed: seed)
    let strata = Dictionary(grouping: rows.indices) { index in
      if case .label(let label) = rows[index].target { label } else { -1 }
    }
    var part: [Int] = []
    for label in strata.keys.sorted() {
      let members = (strata[label] ?? []).shuffled(by: &random)
      let count = Int((Double(members.count) * min(1, max(0, share))).rounded())
      part += members.prefix(count)
    }
    let isPart = Set(part)
    return (rows.indices.filter { !isPart.contains($0) }, part.sorted())
  }
}

extension RandomAccessCollection where Element: Sendable, Index == Int {
  /// Returns the elements in a random order (Fisher, Yates 1938). Implemented here, so that it is
  /// the same with every standard library.
  fileprivate func shuffled(by random: inout SplitMix64) -> [Element] {
    var out = Array(self)
    for last in stride(from: out.count - 1, to: 0, by: -1) {
      out.swapAt(last, Int(random.next(below: UInt64(last + 1))))
    }
    return out
  }
}
