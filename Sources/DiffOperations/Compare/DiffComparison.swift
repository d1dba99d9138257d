import TensorCore

/// The result of comparing several diffs.
public struct DiffComparison: Sendable {
  /// The overlap of two diffs.
  public struct Pair: Sendable {
    /// The number of elements that each of the two changes.
    public var changes: (UInt64, UInt64) = (0, 0)
    /// The number of positions that both change.
    public var shared: UInt64 = 0
    /// The number of shared positions where both deltas are known and nonzero.
    public var signed: UInt64 = 0
    /// The number of those where the signs agree.
    public var agreeing: UInt64 = 0
    /// The inner product of the deltas; NaN if they are unknown.
    public var dot = 0.0
    /// The sums of the squares of the deltas; NaN if they are unknown.
    public var squares = (0.0, 0.0)

    /// Shared positions / positions that either changes (Jaccard 1901); 1 if there are none.
    public var jaccard: Double {
      let union = changes.0 + changes.1 - shared
      return union == 0 ? 1 : Double(shared) / Double(union)
    }
    /// The cosine of the angle between the deltas, or nil if they are unknown or zero.
    public var cosine: Double? {
      let norms = squares.0.squareRoot() * squares.1.squareRoot()
      return norms > 0 ? max(-1, min(1, dot / norms)) : nil
    }
    /// The share of agreeing signs where both deltas have one.
    public var signAgreement: Double? {
      signed == 0 ? nil : Double(agreeing) / Double(signed)
    }
    /// The ratio of the second norm to the first.
    public var normRatio: Double? {
      squares.0 > 0 && !squares.1.isNaN ? (squares.1 / squares.0).squareRoot() : nil
    }
  }

  /// A tensor of two diffs.
  public struct Tensor: Sendable {
    /// The name in the first diff that has the tensor.
    public var name: TensorName
    /// The number of elements.
    public var elements: UInt64
    /// The overlap of the two diffs in the tensor.
    public var pair: Pair
    /// The number of positions whose values differ.
    public var differing: UInt64
  }

  /// A difference of a diff from the first one, other than in values.
  public struct Note: Sendable, Hashable {
    /// The index of the diff, at least 1: the others are compared with the first.
    public var diff: Int
    /// The tensor.
    public var tensor: TensorName
    /// The difference, in words.
    public var what: String
  }

  /// The number of elements that each diff changes, without whole tensors.
  public internal(set) var changes: [UInt64]
  /// The sum of the squares of each diff's deltas; nil if not all of them are known. Those of an
  /// exact diff are known if its base is given.
  public internal(set) var squares: [Double?]
  /// The number of positions whose values differ from those of the first diff; a position that one
  /// of them does not change has a delta of zero.
  public internal(set) var differing: [UInt64]
  /// The other differences, at most `noteLimit` for each diff.
  public internal(set) var notes: [Note] = []
  /// For two diffs: each tensor in which at least one of them changes elements.
  public internal(set) var tensors: [Tensor] = []

  var pairs: [PairCounts.Pair]

  /// The Euclidean norm of each diff's deltas; nil if they are unknown.
  public var norms: [Double?] { squares.map { $0?.squareRoot() } }

  /// The maximum number of notes kept for a diff.
  public static let noteLimit = 1000

  /// Returns the overlap of two of the diffs, by their indices. O(1).
  public func pair(_ one: Int, _ other: Int) -> Pair {
    let (first, second) = (min(one, other), max(one, other))
    var pair = Pair()
    pair.changes = (changes[one], changes[other])
    pair.squares = (square(one), square(other))
    if one == other {
      (pair.shared, pair.dot) = (changes[one], square(one))
      (pair.signed, pair.agreeing) = (changes[one], changes[one])
      return pair
    }
    let counts = pairs[first * changes.count + second]
    pair.shared = counts.shared
    pair.signed = counts.signed
    pair.agreeing = counts.agreeing
    pair.dot = squares[one] == nil || squares[other] == nil ? .nan : counts.dot
    return pair
  }

  private func square(_ index: Int) -> Double { squares[index] ?? .nan }

  /// True if all diffs are the same: they change the same tensors of one base to the same values.
  public var areSame: Bool { differing.allSatisfy { $0 == 0 } && notes.isEmpty }

  /// Returns whether one of the diffs is the same as the first.
  public func isSame(_ index: Int) -> Bool {
    differing[index] == 0 && !notes.contains { $0.diff == index }
  }
}
