import Algorithms
import DiffFormat
import TensorCore

/// Which changes of a diff to a tensor take part in a merge: a function of each change alone, so
/// that pages can be worked on in any order.
enum ChangeFilter: Sendable {
  case all
  case top(TopSet)
  /// Those in the first set but not in the second.
  case between(TopSet, not: TopSet)
  /// With a probability.
  case random(ChanceKey, Double)
  /// With a probability of its own for each change, in order; divided by it, if asked for.
  case ranked(ChanceKey, [Double], rescaling: Bool)
  /// At these positions, which ascend.
  case at([UInt64])

  /// Which of some changes take part, and what they are multiplied with beside the factor of the
  /// term (empty: nothing).
  ///
  /// - Parameters:
  ///   - numbers: those of the changes.
  ///   - ordinal: which change of the tensor the first one is.
  func select(
    _ changes: ChangeView<UInt8>, _ numbers: [Double], ordinal: Int
  ) -> (indices: [Int], factors: [Double]) {
    var indices: [Int] = []
    var factors: [Double] = []
    switch self {
    case .all: indices = Array(numbers.indices)
    case .top(let set):
      for i in numbers.indices where set.contains(numbers[i], at: changes.position(i)) {
        indices.append(i)
      }
    case .between(let outer, let inner):
      for i in numbers.indices {
        let position = changes.position(i)
        if outer.contains(numbers[i], at: position) && !inner.contains(numbers[i], at: position) {
          indices.append(i)
        }
      }
    case .random(let key, let probability):
      for i in numbers.indices where key.chance(at: changes.position(i)) < probability {
        indices.append(i)
      }
    case .ranked(let key, let probabilities, let rescaling):
      for i in numbers.indices {
        let probability = probabilities[ordinal + i]
        guard key.chance(at: changes.position(i)) < probability else { continue }
        indices.append(i)
        if rescaling { factors.append(1 / probability) }
      }
    case .at(let positions):
      var next = positions.partitioningIndex { $0 >= changes.start }
      for i in numbers.indices {
        let position = changes.position(i)
        while next < positions.count && positions[next] < position { next += 1 }
        if next < positions.count && positions[next] == position { indices.append(i) }
      }
    }
    return (indices, factors)
  }
}

/// The k largest magnitudes of a list; among equals the first by position.
struct TopSet: Sendable {
  /// What is larger is in the set; what equals it is, if it stands before `tieEnd`.
  var cut: Double
  var tieEnd: UInt64

  /// Everything.
  static let all = TopSet(cut: -1, tieEnd: .max)
  /// Nothing.
  static let none = TopSet(cut: .infinity, tieEnd: 0)

  func contains(_ value: Double, at position: UInt64) -> Bool {
    let magnitude = value.magnitude
    return magnitude > cut || magnitude == cut && position < tieEnd
  }

  /// The set of the `count` largest of changes that are in memory, in order of positions.
  ///
  /// - Complexity: O(n log n).
  init(_ count: UInt64, of magnitudes: [Double], at positions: [UInt64]) {
    guard count > 0 else {
      self = .none
      return
    }
    guard count < UInt64(magnitudes.count) else {
      self = .all
      return
    }
    let cut = magnitudes.sorted(by: >)[Int(count) - 1]
    var left = count - UInt64(magnitudes.count { $0 > cut })
    var end: UInt64 = 0
    for i in magnitudes.indices where magnitudes[i] == cut {
      guard left > 0 else { break }
      left -= 1
      end = positions[i] + 1
    }
    self.init(cut: cut, tieEnd: end)
  }

  init(cut: Double, tieEnd: UInt64) {
    self.cut = cut
    self.tieEnd = tieEnd
  }
}

/// The source of chance of one diff and tensor: numbers that depend on seed, tensor, position and
/// the diff alone.
struct ChanceKey: Sendable {
  private let key: UInt64

  init(seed: UInt64, diff: Fingerprint, tensor: TensorName.Key) {
    key = XXH3.hash64((seed.littleEndianBytes + diff.bytes + Array(tensor.utf8)).span)
  }

  /// Uniform in 0..<1: the position-th number of SplitMix64 from the key on.
  func chance(at position: UInt64) -> Double {
    var generator = SplitMix64(seed: key &+ position &* 0x9E37_79B9_7F4A_7C15)
    return generator.unit()
  }
}
